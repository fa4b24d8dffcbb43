/** What members say about themselves, read with the distrust that metadata of strangers deserves. */

import type { Member } from "parley-client";

/** What this page says about its own user, as a connection's metadata. */
export interface Introduction {
  readonly name: string;
  /** Says that this member takes part in calls. */
  readonly client: typeof CALL_PAGE;
  readonly audio: "on" | "off";
  readonly video: "on" | "off";
}

export const CALL_PAGE = "call-page";
const LONGEST_NAME = 64;

export function nameOf(member: Pick<Member, "metadata" | "userId">): string {
  const { name } = member.metadata;
  const given = typeof name === "string" ? name.trim() : "";
  return given.slice(0, LONGEST_NAME) || member.userId || "Guest";
}

export function takesPart(member: Member): boolean {
  return member.metadata.client === CALL_PAGE;
}

export function sends(member: Member, kind: "audio" | "video"): boolean {
  return takesPart(member) && member.metadata[kind] === "on";
}

/** Return one or two letters for a tile without a picture. */
export function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map(
    (word) => [...(word ?? "")][0] ?? "",
  );
  return letters.join("").toLocaleUpperCase();
}
