/**
 * The client with a real Parley, which PARLEY_URL names.
 *
 * What the client works out from frames is compared with what the server says itself.
 */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  type Connection,
  connect,
  type Invitation,
  type InvitationEvents,
  join,
  newId,
  type Room,
} from "../src/index.js";
import { NodeWebSocket, next } from "./support.js";

const url = process.env.PARLEY_URL ?? "";
assert.ok(url, "Say in PARLEY_URL where the front door is, for instance http://127.0.0.1:8080.");

const LIMIT = { timeout: 30_000 };
const connections: Connection[] = [];
after(() => {
  for (const connection of connections) connection.close();
});

async function somebody(name: string): Promise<Connection & { readonly connectionId: string }> {
  const traceparent = () => process.env.PARLEY_TRACEPARENT; // whoever runs this looks for it in the server's spans
  const connection = connect({ url, WebSocket: NodeWebSocket, metadata: { name }, traceparent });
  connections.push(connection);
  return (await connection.opened()) as Connection & { readonly connectionId: string };
}

test("where there is a global WebSocket none has to be given", LIMIT, async () => {
  assert.ok(globalThis.WebSocket, "Node 20 has it with --experimental-websocket, Node 22 as it is.");
  const connection = connect({ url, metadata: { name: "Ana" } });
  connections.push(connection);
  await connection.opened();
  const room = await join(connection, newId());

  assert.ok((await room.chat("hello")).position > 0);
});

async function until(room: Room, condition: () => boolean): Promise<void> {
  while (!condition()) await next(room, "members");
}

test("what a member has worked out from frames equals what a newcomer is told", LIMIT, async () => {
  const name = newId();
  const [ana, ben, cid, dora] = [
    await somebody("Ana"),
    await somebody("Ben"),
    await somebody("Cid"),
    await somebody("Dora"),
  ];
  const seen = await join(ana, name);
  const bens = await join(ben, name);
  await join(cid, name);
  await ben.setPresence({ availability: "busy", metadata: { mood: "good" } });
  await bens.chat("one moment");
  cid.close();
  await until(seen, () => seen.members.size === 1);

  const told = await join(dora, name);
  await until(seen, () => seen.members.has(dora.connectionId));
  const { polite: worked, ...known } = seen.members.get(ben.connectionId) ?? { polite: undefined };
  const { polite: answered, ...fresh } = told.members.get(ben.connectionId) ?? { polite: undefined };

  assert.deepEqual(known, fresh);
  assert.deepEqual([worked, answered], [false, true]);
  assert.deepEqual(seen.place, told.place);
  assert.deepEqual([...told.members.keys()].sort(), [ana.connectionId, ben.connectionId].sort());
});

test("of two members the later one is polite", LIMIT, async () => {
  const name = newId();
  const [ana, ben] = [await somebody("Ana"), await somebody("Ben")];
  const first = await join(ana, name);
  const second = await join(ben, name);
  await until(first, () => first.members.size === 1);

  assert.equal(first.members.get(ben.connectionId)?.polite, false);
  assert.equal(second.members.get(ana.connectionId)?.polite, true);
});

test("a signal reaches one connection", LIMIT, async () => {
  const [ana, ben] = [await somebody("Ana"), await somebody("Ben")];
  const heard = next(ben, "signal");
  await ana.signal(ben.connectionId, { description: { type: "offer", sdp: "x" } });

  const { from, data } = await heard;
  assert.deepEqual([from, data], [ana.connectionId, { description: { type: "offer", sdp: "x" } }]);
});

test("chat comes back to its sender at the place it was acknowledged at", LIMIT, async () => {
  const room = await join(await somebody("Ana"), newId());
  const heard = next(room, "chat");
  const { position, time } = await room.chat("hello", { id: "1", data: { n: 1 } });
  const chat = await heard;

  assert.deepEqual([chat.position, chat.time], [position, time]);
  assert.deepEqual([chat.id, chat.text, chat.data], ["1", "hello", { n: 1 }]);
});

test("members are dormant until they say that they are available", LIMIT, async () => {
  const name = newId();
  const [ana, ben] = [await somebody("Ana"), await somebody("Ben")];
  const room = await join(ana, name);
  await join(ben, name);
  await until(room, () => room.members.size === 1);
  const steps = [[room.available.length, room.dormant.length]];
  for (const availability of ["available", "busy"] as const) {
    await ben.setPresence({ availability });
    await until(room, () => room.members.get(ben.connectionId)?.availability === availability);
    steps.push([room.available.length, room.dormant.length]);
  }

  assert.deepEqual(steps, [
    [0, 1],
    [1, 0],
    [0, 1],
  ]);
  assert.equal(ben.availability, "busy");
});

/** Two in a room: one invites, the other hears of it. */
async function invited(options = {}) {
  const name = newId();
  const [ana, ben] = [await somebody("Ana"), await somebody("Ben")];
  const room = await join(ana, name);
  await join(ben, name);
  const heard = next(ben, "invitation");
  const sent = room.invite(ben.connectionId, { text: "coffee?", ...options });
  return { ana, ben, room, sent, invitation: await heard };
}

const ending = (invitation: Invitation) => next<InvitationEvents, "ended">(invitation, "ended");

test("an invitation says from whom and where to, and is accepted", LIMIT, async () => {
  const { ana, room, sent, invitation } = await invited();
  await invitation.accept();

  assert.deepEqual(
    [invitation.from, invitation.room, invitation.text],
    [ana.connectionId, room.name, "coffee?"],
  );
  assert.deepEqual(invitation.member?.metadata.name, "Ana");
  assert.equal(await sent.answer, "accepted");
});

test("an invitation is declined", LIMIT, async () => {
  const { sent, invitation } = await invited();
  await invitation.decline();

  assert.equal(await sent.answer, "declined");
});

test("an invitation is withdrawn", LIMIT, async () => {
  const { sent, invitation } = await invited();
  const ended = ending(invitation);
  sent.withdraw();

  assert.equal(await sent.answer, "unanswered");
  assert.equal(await ended, "withdrawn");
  await assert.rejects(invitation.accept(), { code: "gone" });
});

test("an invitation that nobody answers ends on both sides", LIMIT, async () => {
  const { sent, invitation } = await invited({ timeoutMs: 100 });

  assert.equal(await sent.answer, "unanswered");
  if (invitation.state === "open") await ending(invitation);
  assert.equal(invitation.state, "withdrawn");
});

test("who is gone can't be invited", LIMIT, async () => {
  const { ben, room, sent } = await invited();
  const left = next(room, "left");
  ben.close();
  await left;

  assert.equal(await sent.answer, "unanswered");
  await assert.rejects(room.invite(ben.connectionId).answer, { code: "gone" });
});

test("who joins reads all that was said before, page by page, the last words too", LIMIT, async () => {
  const name = newId();
  const room = await join(await somebody("Ana"), name);
  for (let at = 1; at <= 12; at++) await room.chat(`${at}`);
  const late = await join(await somebody("Ben"), name); // before history was told of the last
  const pages: string[][] = [];
  for (let more = true; more; ) {
    const page = await late.history({ limit: 5 });
    pages.push(page.messages.map(({ text }) => text));
    more = page.more;
  }

  assert.deepEqual(
    pages.flatMap((page) => page.map(Number)).sort((a, b) => a - b),
    [...Array.from({ length: 12 }, (_, at) => at + 1)],
  );
  assert.deepEqual(pages[0], ["8", "9", "10", "11", "12"]);
  assert.ok(pages.every((page) => page.length <= 5));
  const before = { epoch: late.place.epoch, position: 4 };
  assert.deepEqual(
    (await late.history({ before })).messages.map(({ position }) => position),
    [2, 3],
  );
});

test("ICE servers are there for the asking", LIMIT, async () => {
  const response = await (await somebody("Ana")).http("/v1/ice-servers");

  assert.deepEqual(Object.keys(await response.json()).sort(), ["iceServers", "ttl"]);
});
