/** What members say about themselves, read with the distrust that metadata of strangers deserves. */

import type { Availability, Member } from "parley-client";

const LONGEST_NAME = 64;

export function nameOf(member: Pick<Member, "metadata" | "userId">): string {
  return presentable(member.metadata.name) || member.userId || "Guest";
}

/** Return the name that the sender of stored chat gave itself with its words: who has left can't be asked. */
export function nameIn(data: unknown): string {
  return typeof data === "object" && data !== null && "name" in data ? presentable(data.name) : "";
}

function presentable(name: unknown): string {
  return typeof name === "string" ? name.trim().slice(0, LONGEST_NAME) : "";
}

export function sends(member: Member, kind: "audio" | "video"): boolean {
  return member.metadata[kind] === "on";
}

/** Why somebody who is in the room is not in the call. */
export const DORMANT: Readonly<Record<Availability, string>> = {
  online: "only chatting",
  busy: "busy",
  away: "away",
  available: "joining",
  inCall: "in the call",
};

/** Return one or two letters for a tile without a picture. */
export function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map(
    (word) => [...(word ?? "")][0] ?? "",
  );
  return letters.join("").toUpperCase();
}

const HUES = 6;

/** Return which of the style sheet's colours somebody without a picture has: always the same for one name. */
export function hue(name: string): number {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return sum % HUES;
}
