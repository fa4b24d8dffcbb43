/**
 * The client with a real Parley that lets nobody in without a token.
 *
 * PARLEY_PRODUCTION_URL says where it is, PARLEY_TOKEN_SECRET what it trusts. Tokens live for seconds here, so the
 * tests wait for their ends together.
 */

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { type Connection, type ConnectOptions, connect, join, newId } from "../src/index.js";
import { expiryOf } from "../src/token.js";
import { jwt } from "./jwt.js";
import { NodeWebSocket, next } from "./support.js";

const url = process.env.PARLEY_PRODUCTION_URL ?? "";
const secret = process.env.PARLEY_TOKEN_SECRET ?? "";
assert.ok(url && secret, "Say in PARLEY_PRODUCTION_URL and PARLEY_TOKEN_SECRET what to test with.");

const LIMIT = { timeout: 60_000 };
const connections: Connection[] = [];
after(() => {
  for (const connection of connections) connection.close();
});

const GRANTS = { rooms: { "*": ["join", "send", "history"] }, direct: true, presence: true, metadata: true };

/** A backend's word that Ana may do everything for this long. */
function token(seconds: number, claims: object = {}): string {
  return jwt({ sub: "ana", exp: Math.ceil(Date.now() / 1000) + seconds, ...GRANTS, ...claims }, secret);
}

function somebody(source: ConnectOptions["token"] & {}): Promise<Connection> {
  const connection = connect({ url, token: source, WebSocket: NodeWebSocket });
  connections.push(connection);
  return connection.opened();
}

/** Return once a token has expired by the server's clock, and a moment more. */
async function outlive(connection: Connection, token: string | undefined): Promise<void> {
  const end = (expiryOf(token ?? "") ?? 0) + 500;
  for (let time = ""; !(Date.parse(time) > end); ) {
    ({ time } = await connection.request({ action: "ping" })); // which is answered in any case
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe("in production", { concurrency: true }, () => {
  test("a connection outlives its tokens, without a break", LIMIT, async () => {
    const given: string[] = [];
    const connection = await somebody(() => {
      given.push(token(3));
      return given.at(-1) ?? "";
    });
    const states: string[] = [];
    connection.on("state", (state) => states.push(state));
    const room = await join(connection, newId());
    await outlive(connection, given[0]);
    await room.chat("still here");

    assert.deepEqual(states, []);
    assert.ok(given.length >= 2, "it was given another");
  });

  test("who had no fresh token in time comes back with one, as the same connection", LIMIT, async () => {
    const given: string[] = [];
    let connection: Connection | undefined;
    connection = await somebody(() => {
      if (connection?.state === "open") throw new Error("the backend is away");
      given.push(token(given.length === 0 ? 2 : 60));
      return given.at(-1) ?? "";
    });
    const { connectionId } = connection;
    const problem = next(connection, "refused");
    const away = next(connection, "state");
    const room = await join(connection, newId());
    await outlive(connection, given[0]);
    const posted = room.chat("said before anybody knew");

    assert.equal((await problem).message, "the backend is away");
    assert.equal(await away, "reconnecting");
    await posted;
    assert.equal(connection.connectionId, connectionId);
    assert.equal(given.length, 2);
  });

  test("a token that can't be replaced ends the connection, which says why", LIMIT, async () => {
    const short = token(2);
    const connection = await somebody(short);
    await outlive(connection, short);
    const closed = next(connection, "closed");
    await assert.rejects(connection.signal(connection.connectionId ?? "", 1), { code: "token_expired" });
    const { code, closeCode, message } = await closed;

    assert.deepEqual([code, closeCode], ["token_expired", 4501]);
    assert.match(message, /expired/);
  });

  test("what was said can be read by those whose token grants it, and by nobody else", LIMIT, async () => {
    const name = newId();
    const ana = await join(await somebody(token(60)), name);
    await ana.chat("hello");
    const ben = await join(await somebody(token(60, { sub: "ben" })), name);
    const eve = await join(await somebody(token(60, { sub: "eve", rooms: { "*": ["join"] } })), name);

    assert.deepEqual(
      (await ben.history()).messages.map(({ userId, text }) => [userId, text]),
      [["ana", "hello"]],
    );
    await assert.rejects(eve.history(), { code: "not_allowed" });
  });

  test("without the grant nobody can be invited, and no presence is said", LIMIT, async () => {
    const connection = await somebody(token(60, { direct: false, presence: false }));
    const room = await join(connection, newId());

    await assert.rejects(room.invite(connection.connectionId ?? "").answer, { code: "not_allowed" });
    await assert.rejects(connection.setPresence({ availability: "available" }), { code: "not_allowed" });
    assert.equal(connection.availability, "online");
  });
});
