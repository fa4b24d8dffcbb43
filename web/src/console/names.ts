/**
 * Whose a connection is, as far as this page has heard.
 *
 * Some answers and events name connections alone; a name that came with another says who it is. It is only for show, so
 * what is not known stays a connection's id, and the oldest are forgotten.
 */

import type { Metadata, PublicEvent } from "./answers";

const KEPT = 20_000;

const names = new Map<string, string>();

/** Whom a connection belongs to by its own words: its user, or the name that it calls itself. */
export function nameOf(userId: string | null | undefined, metadata?: Metadata): string | undefined {
  const called = metadata?.name;
  return userId || (typeof called === "string" && called) || undefined;
}

export function learn(connectionId: string, name: string | undefined): void {
  if (name === undefined) return;
  names.set(connectionId, name);
  const [oldest] = names.keys();
  if (names.size > KEPT && oldest !== undefined) names.delete(oldest);
}

export function learnFrom({ data }: PublicEvent): void {
  const { connectionId, userId, metadata } = data;
  if (typeof connectionId !== "string") return;
  const said = typeof metadata === "object" && metadata ? (metadata as Metadata) : undefined;
  learn(connectionId, nameOf(typeof userId === "string" ? userId : undefined, said));
}

export const known = (connectionId: string): string | undefined => names.get(connectionId);
