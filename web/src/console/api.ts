/** The public REST of Parley, a function for each path that the console asks. */

import type {
  ActivityStep,
  Call,
  CallsStep,
  Connection,
  Frame,
  Listed,
  ListedCall,
  ListedRoom,
  Message,
  Part,
  Room,
  Sample,
} from "./answers";
import { appQuery, asker, headers, refuse } from "./session";

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** Why something could not be read or done; the message is a sentence for the operator. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const connections = (query: Query, signal: AbortSignal) =>
  list<Connection>("/v1/connections", query, signal);
export const countConnections = (query: Query, signal: AbortSignal) =>
  count("/v1/connections", query, signal);
export const connection = (id: string, signal: AbortSignal) =>
  ask<Connection>(path("/v1/connections", id), {}, signal);
export const frames = (id: string, signal: AbortSignal) =>
  list<Frame>(path("/v1/connections", id, "frames"), {}, signal);

export const rooms = (query: Query, signal: AbortSignal) => list<ListedRoom>("/v1/rooms", query, signal);
export const countRooms = (query: Query, signal: AbortSignal) => count("/v1/rooms", query, signal);
export const room = (name: string, signal: AbortSignal) => ask<Room>(path("/v1/rooms", name), {}, signal);

export const calls = (query: Query, signal: AbortSignal) => list<ListedCall>("/v1/calls", query, signal);
export const countCalls = (query: Query, signal: AbortSignal) => count("/v1/calls", query, signal);
export const call = (id: string, signal: AbortSignal) => ask<Call>(path("/v1/calls", id), {}, signal);
export const quality = (id: string, query: Query, signal: AbortSignal) =>
  list<Sample>(path("/v1/calls", id, "quality"), query, signal);

export const messages = (query: Query, signal: AbortSignal) => list<Message>("/v1/messages", query, signal);
export const roomMessages = (name: string, query: Query, signal: AbortSignal) =>
  list<Message>(path("/v1/rooms", name, "messages"), query, signal);
export const parts = (signal: AbortSignal) => list<Part>("/v1/parts", {}, signal);
export const callsOverTime = (query: Query, signal: AbortSignal) =>
  list<CallsStep>("/v1/analytics/calls", query, signal);
export const activity = (query: Query, signal: AbortSignal) =>
  list<ActivityStep>("/v1/analytics/activity", query, signal);

/** End a connection: it leaves its rooms, and its socket is closed. */
export async function disconnect(id: string): Promise<void> {
  await request("DELETE", path("/v1/connections", id), {});
}

/** Return where a path is, with the app and the parameters that say something. */
export function address(where: string, query: Query): string {
  const all = Object.entries({ ...appQuery(), ...query }).filter(
    ([, value]) => value !== undefined && value !== "",
  );
  const written = new URLSearchParams(all.map(([name, value]) => [name, String(value)])).toString();
  return written ? `${where}?${written}` : where;
}

/** Return what a refusing answer says. That a token is refused is said to the whole page. */
export async function problemOf(answer: Response, asked: string): Promise<Problem> {
  const said = read(await answer.text());
  const code = typeof said.code === "string" ? said.code : "unknown";
  const message = typeof said.message === "string" ? said.message : `The server answered ${answer.status}.`;
  if (answer.status === 401) refuse(asked, { code, message });
  return new Problem(answer.status, code, message);
}

function read(text: string): { code?: unknown; message?: unknown } {
  try {
    return (JSON.parse(text) as object | null) ?? {};
  } catch {
    return {}; // not ours: a proxy's page
  }
}

function list<T>(where: string, query: Query, signal: AbortSignal): Promise<Listed<T>> {
  return ask<Listed<T>>(where, query, signal);
}

async function count(where: string, query: Query, signal: AbortSignal): Promise<number> {
  return (await ask<{ count: number }>(`${where}/count`, query, signal)).count;
}

async function ask<T>(where: string, query: Query, signal: AbortSignal): Promise<T> {
  const answer = await request("GET", where, query, signal);
  return (await answer.json()) as T;
}

async function request(method: string, where: string, query: Query, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method, headers: headers(), cache: "no-store" };
  if (signal) init.signal = signal;
  const asked = asker();
  let answer: Response;
  try {
    answer = await fetch(address(where, query), init);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "away", "The server does not answer. The console goes on asking.");
  }
  if (!answer.ok) throw await problemOf(answer, asked);
  return answer;
}

/** Names are written by strangers: each is one segment. */
function path(...segments: [string, ...string[]]): string {
  const [base, ...names] = segments;
  return [base, ...names.map(encodeURIComponent)].join("/");
}
