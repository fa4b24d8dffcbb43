/**
 * The client with a real Parley, which PARLEY_URL names.
 *
 * What the client works out from frames is compared with what the server says itself.
 */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type Connection, connect, join, newId, type Room } from "../src/index.js";
import { NodeWebSocket, next } from "./support.js";

const url = process.env.PARLEY_URL ?? "";
assert.ok(url, "Say in PARLEY_URL where the front door is, for instance http://127.0.0.1:8080.");

const LIMIT = { timeout: 30_000 };
const connections: Connection[] = [];
after(() => {
  for (const connection of connections) connection.close();
});

async function somebody(name: string): Promise<Connection & { readonly connectionId: string }> {
  const connection = connect({ url, WebSocket: NodeWebSocket, metadata: { name } });
  connections.push(connection);
  return (await connection.opened()) as Connection & { readonly connectionId: string };
}

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

test("ICE servers are there for the asking", LIMIT, async () => {
  const response = await (await somebody("Ana")).http("/v1/ice-servers");

  assert.deepEqual(Object.keys(await response.json()).sort(), ["iceServers", "ttl"]);
});
