/** What was said in a room, asked of history over REST. */

import type { Connection } from "./connection.js";
import { ParleyError, RefusedError } from "./errors.js";
import type { Chat, Place } from "./frames.js";

/** Chat as history has it: also of the room's earlier epochs. */
export interface PastChat extends Chat {
  readonly epoch: string;
}

/** Some of what was said, the oldest first. */
export interface HistoryPage {
  readonly messages: readonly PastChat[];
  /** Whether there is more before these. */
  readonly more: boolean;
}

/** Return the last chat of a room before a place. */
export async function chatBefore(
  connection: Connection,
  room: string,
  before: Place,
  limit: number,
): Promise<HistoryPage> {
  const query = { order: "newest", limit: String(limit) };
  const bound = { epoch: before.epoch, before: String(before.position) };
  try {
    return await page(connection, room, { ...query, ...bound });
  } catch (error) {
    // An epoch that history has not heard of is just beginning: all that there is is older.
    if (!(error instanceof RefusedError && error.code === "not_found")) throw error;
    const { messages, more } = await page(connection, room, query);
    return { messages: messages.filter((chat) => isBefore(chat, before)), more };
  }
}

/**
 * Return the last chat of a room before the place where one has just joined.
 *
 * History may not have heard of a room's epoch that is just beginning. It is not asked about one before it has
 * shown some of it: browsers write what is not found in red.
 */
export async function chatUntil(
  connection: Connection,
  room: string,
  joined: Place,
  limit: number,
): Promise<HistoryPage> {
  const latest = await page(connection, room, { order: "newest", limit: String(limit) });
  if (latest.messages.every((chat) => isBefore(chat, joined))) return latest;
  return chatBefore(connection, room, joined, limit);
}

/** Return a room's chat behind a place, the oldest first. */
export async function chatBehind(
  connection: Connection,
  room: string,
  { epoch, position }: Place,
  limit: number,
  signal?: AbortSignal,
): Promise<readonly PastChat[]> {
  const query = { epoch, after: String(position), order: "oldest", limit: String(limit) };
  return (await page(connection, room, query, signal)).messages;
}

async function page(
  connection: Connection,
  room: string,
  query: Record<string, string>,
  signal?: AbortSignal,
): Promise<HistoryPage> {
  const path = `/v1/rooms/${encodeURIComponent(room)}/messages?${new URLSearchParams(query)}`;
  const { items, next } = await asked(connection, path, signal);
  const messages = items.map((item) => ({ ...item, type: "chat" as const }));
  return { messages: query.order === "newest" ? messages.reverse() : messages, more: next !== null };
}

interface Items {
  readonly items: Omit<PastChat, "type">[];
  readonly next: string | null;
}

async function asked(connection: Connection, path: string, signal?: AbortSignal): Promise<Items> {
  let response: Response;
  let body: unknown;
  try {
    response = await connection.http(path, signal);
    body = await response.json();
  } catch (error) {
    if (error instanceof ParleyError) throw error;
    throw new ParleyError("unreachable", "What was said earlier could not be read; try again.");
  }
  if (response.ok) return body as Items;
  const { code, message } = body as { code?: string; message?: string };
  throw new RefusedError(code ?? "internal", message ?? `History answers ${response.status}; try again.`);
}

function isBefore(chat: PastChat, { epoch, position }: Place): boolean {
  return chat.epoch !== epoch || chat.position < position;
}
