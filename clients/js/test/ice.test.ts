/** ICE servers are fetched again before their credentials end. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "../src/connection.js";
import { IceServers } from "../src/ice.js";

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A connection whose server names these, one answer after the other; `undefined` is none. */
function answering(...answers: (object | undefined)[]) {
  const asked: string[] = [];
  const http = async (path: string) => {
    asked.push(path);
    const answer = answers.shift();
    return answer ? Response.json(answer) : new Response("away", { status: 503 });
  };
  return { asked, connection: { http } as unknown as Connection };
}

const turn = (credential: string) => ({
  iceServers: [{ urls: ["turn:turn.example.com"], username: "u", credential }],
  ttl: 100,
});

test("at 80 % of the credentials' life there are new ones", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, connection } = answering(turn("one"), turn("two"));
  const servers = new IceServers(connection);
  const renewed: unknown[] = [];
  servers.renewed = ([server]) => renewed.push(server?.credential);
  await servers.known;
  t.mock.timers.tick(79_999);
  await settle();
  assert.deepEqual([servers.current[0]?.credential, renewed], ["one", []]);

  t.mock.timers.tick(1);
  await settle();
  assert.deepEqual([servers.current[0]?.credential, renewed], ["two", ["two"]]);
  servers.close();
  t.mock.timers.tick(1_000_000);
  await settle();
  assert.deepEqual(asked, ["/v1/ice-servers", "/v1/ice-servers"]);
});

test("a server that does not answer is asked again; one without credentials is not", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, connection } = answering(undefined, { iceServers: [], ttl: 100 });
  const servers = new IceServers(connection);
  await servers.known;
  assert.deepEqual(servers.current, []);
  t.mock.timers.tick(10_000);
  await settle();
  assert.equal(asked.length, 2);
  t.mock.timers.tick(1_000_000);
  await settle();
  assert.equal(asked.length, 2);
});

test("who brings servers along asks for none", async () => {
  const { asked, connection } = answering();
  const servers = new IceServers(connection, [{ urls: "stun:stun.example.com" }]);
  await servers.known;

  assert.deepEqual([asked, servers.current.length], [[], 1]);
});
