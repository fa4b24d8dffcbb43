/** What a client knows of a room, as a fold of the room's frames. No I/O, and nothing is changed in place. */

import type { Joined, Member, MemberChanged, Place, Positioned } from "./frames.js";

export type Members = ReadonlyMap<string, Member>;

export interface Membership {
  readonly place: Place;
  readonly members: Members;
}

/** Start from the answer to a join. */
export function joined(answer: Joined): Membership {
  const members = new Map(answer.members.map((member) => [member.connectionId, member]));
  return { place: { epoch: answer.epoch, position: answer.position }, members };
}

/** Positions have no gaps, so a frame is the next one, known already, or shows that something was missed. */
export function standing(membership: Membership, frame: Positioned): "next" | "known" | "gap" {
  const ahead = frame.position - membership.place.position;
  if (ahead === 1) return "next";
  return ahead < 1 ? "known" : "gap";
}

/** Return the membership after the next frame of the room's stream. */
export function advance(membership: Membership, frame: Positioned): Membership {
  const place = { ...membership.place, position: frame.position };
  const members = new Map(membership.members);
  if (frame.type === "member.joined") members.set(frame.member.connectionId, frame.member);
  if (frame.type === "member.left") members.delete(frame.connectionId);
  return { place, members };
}

/** Return the membership after a member presented itself otherwise, which has no position. */
export function change(membership: Membership, frame: MemberChanged): Membership {
  const member = membership.members.get(frame.connectionId);
  if (!member) return membership;
  const members = new Map(membership.members);
  members.set(frame.connectionId, { ...member, availability: frame.availability, metadata: frame.metadata });
  return { ...membership, members };
}

/** Return who came and who went between two states of a room. */
export function difference(before: Members, after: Members): { came: Member[]; went: Member[] } {
  return {
    came: [...after.values()].filter((member) => !before.has(member.connectionId)),
    went: [...before.values()].filter((member) => !after.has(member.connectionId)),
  };
}

/** Return whether a member takes part in calls, or would: only such a one is offered to. Others are invited. */
export function willing({ availability }: Pick<Member, "availability">): boolean {
  return availability === "available" || availability === "inCall";
}
