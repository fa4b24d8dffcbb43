import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Invitation,
  type InvitationEvents,
  join,
  ParleyError,
  RefusedError,
  type Room,
} from "../src/index.js";
import { invitationIn } from "../src/invitation.js";
import type { Visit } from "./server.js";
import { next, type Stage, scripted } from "./support.js";

const ben = {
  connectionId: "b",
  userId: "ben",
  deviceId: null,
  metadata: { name: "Ben" },
  availability: "online",
  polite: true,
};

/** Be `a`, in the room `r` with `b`. */
async function together(stage: Stage): Promise<{ room: Room; visit: Visit }> {
  const { connection, visit } = await stage.open("a");
  const joining = join(connection, "r");
  await visit.grant("join", {
    room: "r",
    epoch: "e",
    position: 2,
    members: [ben],
    recovered: false,
    missed: [],
  });
  return { room: await joining, visit };
}

const said = (frame: Record<string, unknown>) =>
  (frame.data as { invitation: Record<string, unknown> }).invitation;

/** Be invited by `from`, with this about it. */
const invites = (visit: Visit, invitation: object, from = "b") =>
  visit.say({ type: "signal", from, data: { invitation } });

/** How an invitation ends. */
const ending = (invitation: Invitation) => next<InvitationEvents, "ended">(invitation, "ended");

for (const answer of ["accepted", "declined"]) {
  scripted(`who invites hears that it was ${answer}`, async (stage) => {
    const { room, visit } = await together(stage);
    const sent = room.invite("b", { text: "coffee?" });
    const frame = await visit.grant("signal");
    invites(visit, { id: sent.id, answer });

    assert.equal(frame.to, "b");
    assert.deepEqual(frame.data, { invitation: { id: sent.id, room: "r", text: "coffee?" } });
    assert.equal(await sent.answer, answer);
  });
}

scripted("an answer counts only from the one who was invited", async (stage) => {
  const { room, visit } = await together(stage);
  const sent = room.invite("b");
  await visit.grant("signal");
  invites(visit, { id: sent.id, answer: "accepted" }, "eve");
  invites(visit, { id: sent.id, answer: "declined" });

  assert.equal(await sent.answer, "declined");
});

scripted("an invitation without an answer is withdrawn in time, and is unanswered", async (stage) => {
  const { room, visit } = await together(stage);
  const sent = room.invite("b", { timeoutMs: 5 });
  await visit.grant("signal");

  assert.equal(await sent.answer, "unanswered");
  assert.deepEqual(said(await visit.hear()), { id: sent.id, withdrawn: true });
});

scripted("who withdraws an invitation gets no answer any more", async (stage) => {
  const { room, visit } = await together(stage);
  const sent = room.invite("b");
  await visit.grant("signal");
  sent.withdraw();
  sent.withdraw();
  assert.deepEqual(said(await visit.grant("signal")), { id: sent.id, withdrawn: true });
  invites(visit, { id: sent.id, answer: "accepted" });

  assert.equal(await sent.answer, "unanswered");
});

scripted("who leaves the room invites nobody there any more", async (stage) => {
  const { room, visit } = await together(stage);
  const sent = room.invite("b");
  await visit.grant("signal");
  const leaving = room.leave();
  const heard = [await visit.hear(), await visit.hear()];
  for (const { ref } of heard) visit.say({ type: "ok", ref });
  await leaving;

  assert.equal(await sent.answer, "unanswered");
  assert.ok(heard.some(({ action }) => action === "signal"));
});

scripted("an invitation that can't be delivered rejects with the reason", async (stage) => {
  const { room, visit } = await together(stage);
  const sent = room.invite("b");
  const { ref } = await visit.hear();
  visit.say({ type: "error", ref, code: "gone", message: "That connection has closed." });

  await assert.rejects(sent.answer, (error) => error instanceof RefusedError && error.code === "gone");
});

scripted("who was invited and leaves will not answer", async (stage) => {
  const { room, visit } = await together(stage);
  const sent = room.invite("b");
  await visit.grant("signal");
  visit.say({ type: "member.left", room: "r", position: 3, connectionId: "b", reason: "left" });

  assert.equal(await sent.answer, "unanswered");
});

scripted("who is invited sees by whom and where to, and the answer goes back", async (stage) => {
  const { room, visit } = await together(stage);
  const heard = next(room.connection, "invitation");
  invites(visit, { id: "7", room: "r", text: "<b>coffee?</b>" });
  const invitation = await heard;
  const ended = ending(invitation);
  const accepting = invitation.accept();
  const frame = await visit.grant("signal");
  await accepting;

  const { id, from, text, member } = invitation;
  assert.deepEqual([id, from, text], ["7", "b", "<b>coffee?</b>"]);
  assert.deepEqual(member, ben);
  assert.deepEqual([frame.to, frame.data], ["b", { invitation: { id: "7", answer: "accepted" } }]);
  assert.equal(await ended, "accepted");
  assert.equal(invitation.state, "accepted");
  await assert.rejects(
    invitation.decline(),
    (error) => error instanceof ParleyError && error.code === "gone",
  );
});

scripted("an invitation that is withdrawn can't be accepted", async (stage) => {
  const { room, visit } = await together(stage);
  const heard = next(room.connection, "invitation");
  invites(visit, { id: "7", room: "r" });
  const invitation = await heard;
  const ended = ending(invitation);
  invites(visit, { id: "7", withdrawn: true }, "eve");
  invites(visit, { id: "7", withdrawn: true });

  assert.equal(await ended, "withdrawn");
  await assert.rejects(invitation.accept(), { code: "gone" });
});

scripted("an invitation ends with the membership of who sent it", async (stage) => {
  const { room, visit } = await together(stage);
  const heard = next(room.connection, "invitation");
  invites(visit, { id: "7", room: "r" });
  const ended = ending(await heard);
  visit.say({ type: "member.left", room: "r", position: 3, connectionId: "b", reason: "disconnected" });

  assert.equal(await ended, "withdrawn");
});

scripted("what was open between two connections ends when one comes back as a new one", async (stage) => {
  const { room, visit } = await together(stage);
  const heard = next(room.connection, "invitation");
  invites(visit, { id: "7", room: "elsewhere" });
  const ended = ending(await heard);
  const sent = room.invite("b");
  await visit.grant("signal");
  visit.cut();
  (await stage.server.visit()).welcome("a2");

  assert.equal(await ended, "withdrawn");
  assert.equal(await sent.answer, "unanswered");
});

scripted("invitations are no signals, and signals no invitations", async (stage) => {
  const { room, visit } = await together(stage);
  const seen: unknown[] = [];
  room.connection.on("signal", ({ data }) => seen.push(data));
  const heard = next(room.connection, "invitation");
  const others = [{ description: { type: "offer" } }, { candidate: {} }, { invitation: 7 }, "x", null];
  for (const data of others) visit.say({ type: "signal", from: "b", data });
  invites(visit, { id: "7", room: "r" });
  await heard;

  assert.deepEqual(seen, others);
});

scripted("who invites again and again is heard once, and nobody more than a hundred times", async (stage) => {
  const { room, visit } = await together(stage);
  let count = 0;
  room.connection.on("invitation", () => {
    count += 1;
  });
  for (let id = 0; id < 150; id++) {
    invites(visit, { id: `${id}`, room: "r" });
    invites(visit, { id: `${id}`, room: "r" });
  }
  const end = next(room.connection, "signal");
  visit.say({ type: "signal", from: "b", data: "end" });
  await end;

  assert.equal(count, 100);
});

test("what is no invitation is not taken for one", () => {
  const none = [
    {},
    { invitation: null },
    { invitation: {} },
    { invitation: { id: "", room: "r" } },
    { invitation: { id: "x".repeat(65), room: "r" } },
    { invitation: { id: "1", room: 7 } },
    { invitation: { id: "1", room: "r".repeat(1025) } },
    { invitation: { id: "1", answer: "perhaps" } },
    { invitation: { id: "1", withdrawn: "yes" } },
  ];
  assert.deepEqual(
    none.map((data) => invitationIn(data)),
    none.map(() => undefined),
  );
  assert.deepEqual(invitationIn({ invitation: { id: "1", room: "r", text: "x".repeat(2000), more: 1 } }), {
    id: "1",
    room: "r",
    text: "x".repeat(1000),
  });
});
