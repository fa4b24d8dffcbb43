/** Reports stop where they are not wanted, and never get in the way. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { RefusedError } from "../src/errors.js";
import type { Peer } from "../src/peer.js";
import { read } from "../src/quality.js";
import { REPORT_MS, Reports } from "../src/reports.js";
import type { Room } from "../src/room.js";

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A room whose server answers reports like this, and one peer in it. */
function call(answer: () => unknown) {
  const asked: unknown[] = [];
  const connection = {
    state: "open",
    request: async (request: unknown) => {
      asked.push(request);
      return answer();
    },
  };
  const room = { name: "team", connection } as unknown as Room;
  const quality = read([], { state: "connected", setupMs: 1, firstMediaMs: 2 });
  const peer = { connectionId: "c1", state: "connected", quality, measure: async () => {} };
  const peers = new Map([["c1", peer as unknown as Peer]]);
  return { asked, connection, peers, reports: new Reports(room, peers, true) };
}

const refuse = (code: string) => () => {
  throw new RefusedError(code, "no");
};

test("every five seconds, as long as somebody is there", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { asked, peers, reports } = call(() => ({}));
  reports.begin();
  reports.begin();
  for (const count of [1, 2]) {
    t.mock.timers.tick(REPORT_MS);
    await settle();
    assert.equal(asked.length, count);
  }
  const [{ action, room, peers: said }] = asked as [{ action: string; room: string; peers: unknown[] }];
  assert.deepEqual([action, room, said.length], ["report", "team", 1]);

  peers.clear();
  t.mock.timers.tick(10 * REPORT_MS);
  await settle();
  assert.equal(asked.length, 2);
});

for (const code of ["not_allowed", "unknown_action"]) {
  test(`a server that says ${code} is not asked again`, async () => {
    const { asked, reports } = call(refuse(code));
    await reports.now();
    await reports.now();

    assert.equal(asked.length, 1);
  });
}

test("a server that is busy is asked again", async () => {
  const { asked, reports } = call(refuse("rate_limited"));
  await reports.now();
  await reports.now();

  assert.equal(asked.length, 2);
});

test("nothing is kept for later while the connection is away, nor after the end", async () => {
  const { asked, connection, reports } = call(() => ({}));
  connection.state = "reconnecting";
  await reports.now();
  connection.state = "open";
  reports.close();
  await reports.now();

  assert.deepEqual(asked, []);
});
