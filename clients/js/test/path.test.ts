/** When another path is looked for, and above all when not. */

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { Path } from "../src/path.js";

/** A peer connection of which only the state of its path is there, and how much has come over it. */
function scene(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const pc = {
    iceConnectionState: "connected",
    signalingState: "stable",
    oniceconnectionstatechange: undefined as (() => void) | undefined,
    heard: 0,
    getStats: async () => new Map([["P", { type: "candidate-pair", bytesReceived: pc.heard }]]),
  };
  const world = { reachable: true, restarts: 0 };
  const path = new Path(
    pc as unknown as RTCPeerConnection,
    () => world.reachable,
    () => {
      world.restarts += 1;
    },
  );
  const becomes = (state: string) => {
    pc.iceConnectionState = state;
    pc.oniceconnectionstatechange?.();
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const wait = async (ms: number) => {
    await settle();
    t.mock.timers.tick(ms);
    await settle();
  };
  return { pc, world, path, becomes, wait };
}

test("a path that has failed is looked for anew, again and again until there is one", async (t) => {
  const { world, becomes, wait } = scene(t);
  becomes("failed");
  assert.equal(world.restarts, 1);
  await wait(8000);
  assert.equal(world.restarts, 2);
  await wait(8000);
  assert.equal(world.restarts, 2);
  await wait(8000);
  assert.equal(world.restarts, 3);

  becomes("connected");
  await wait(120_000);
  assert.equal(world.restarts, 3);
});

test("a path that comes back by itself is left alone", async (t) => {
  const { world, becomes, wait } = scene(t);
  becomes("disconnected");
  await wait(2000);
  becomes("connected");
  await wait(60_000);
  assert.equal(world.restarts, 0);

  becomes("disconnected");
  await wait(2500);
  assert.equal(world.restarts, 1);
});

test("nothing is looked for while the server is away; when it is back, it is", async (t) => {
  const { world, path, becomes, wait } = scene(t);
  world.reachable = false;
  becomes("disconnected");
  await wait(60_000);
  assert.equal(world.restarts, 0);

  world.reachable = true;
  path.examine();
  assert.equal(world.restarts, 1);
});

test("after a resume a path over which something comes is left alone, and a silent one is not", async (t) => {
  const { pc, world, path, wait } = scene(t);
  path.examine();
  await wait(1);
  pc.heard += 1;
  await wait(6000);
  assert.equal(world.restarts, 0);

  path.examine();
  await wait(6001);
  assert.equal(world.restarts, 1);
});

test("nothing is left of it once it is closed", async (t) => {
  const { pc, world, path, becomes, wait } = scene(t);
  becomes("disconnected");
  path.close();
  await wait(60_000);

  assert.equal(world.restarts, 0);
  assert.equal(pc.oniceconnectionstatechange, null);
});
