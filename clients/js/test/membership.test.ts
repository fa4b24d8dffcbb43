import assert from "node:assert/strict";
import { test } from "node:test";
import type { Joined, Member, Positioned } from "../src/index.js";
import { advance, joined, standing } from "../src/membership.js";

const member = (connectionId: string): Member => ({
  connectionId,
  userId: null,
  deviceId: null,
  metadata: {},
  availability: "online",
  polite: false,
});

const answer = (position: number, ...ids: string[]): Joined => ({
  room: "r",
  epoch: "e",
  position,
  members: ids.map(member),
  recovered: true,
  missed: [],
});

test("a stale answer and the frames after it equal a fresh answer", () => {
  const frames: Positioned[] = [
    { type: "member.joined", room: "r", position: 4, member: member("c") },
    { type: "member.left", room: "r", position: 5, connectionId: "a", reason: "left" },
    { type: "chat", room: "r", position: 6, id: "1", from: "b", userId: null, text: "hi", time: "" },
  ];

  assert.deepEqual(frames.reduce(advance, joined(answer(3, "a", "b"))), joined(answer(6, "b", "c")));
});

test("positions say whether a frame is next, known or after a gap", () => {
  const room = joined(answer(3));
  const at = (position: number) =>
    standing(room, { type: "member.left", room: "r", position, connectionId: "a", reason: "left" });

  assert.deepEqual([at(2), at(3), at(4), at(5)], ["known", "known", "next", "gap"]);
});
