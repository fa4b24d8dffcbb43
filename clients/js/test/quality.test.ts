/** What is read from the browser's statistics, and what of it is reported. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { read } from "../src/quality.js";
import { line } from "../src/reports.js";

const TIMES = { state: "connected", setupMs: 90, firstMediaMs: 140 } as const;

const stats = (received: number, lost: number, more = {}) => [
  { id: "T", type: "transport", selectedCandidatePairId: "P" },
  {
    id: "P",
    type: "candidate-pair",
    localCandidateId: "L",
    remoteCandidateId: "R",
    currentRoundTripTime: 0.02,
    ...more,
  },
  { id: "Q", type: "candidate-pair", localCandidateId: "R", remoteCandidateId: "L", currentRoundTripTime: 9 },
  { id: "L", type: "local-candidate", candidateType: "host" },
  { id: "R", type: "remote-candidate", candidateType: "relay" },
  {
    id: "a",
    type: "inbound-rtp",
    packetsReceived: received,
    packetsLost: lost,
    bytesReceived: 1000,
    jitter: 0.004,
  },
  { id: "v", type: "inbound-rtp", packetsReceived: 0, packetsLost: 0, bytesReceived: 500, jitter: 0.001 },
  { id: "o", type: "outbound-rtp", bytesSent: 700 },
];

test("it is read off the path that is used, and off all that comes", () => {
  assert.deepEqual(read(stats(100, 0), TIMES), {
    score: "good",
    roundTripMs: 20,
    jitterMs: 4,
    loss: 0,
    bytesSent: 700,
    bytesReceived: 1500,
    packetsReceived: 100,
    packetsLost: 0,
    localCandidate: "host",
    remoteCandidate: "relay",
    setupMs: 90,
    firstMediaMs: 140,
  });
});

test("loss is that since the last reading", () => {
  const first = read(stats(100, 100), TIMES);
  const second = read(stats(195, 105), TIMES, first);

  assert.deepEqual([first.loss, first.score], [0.5, "poor"]);
  assert.deepEqual([second.loss, second.score], [0.05, "fair"]);
  assert.equal(read(stats(295, 105), TIMES, second).score, "good");
});

test("before anything has come nothing is made up", () => {
  const { roundTripMs, jitterMs, localCandidate, loss } = read([], TIMES);

  assert.deepEqual([roundTripMs, jitterMs, localCandidate, loss], [undefined, undefined, undefined, 0]);
});

test("far away is worse than near, and no path is worst", () => {
  const at = (currentRoundTripTime: number) => read(stats(100, 0, { currentRoundTripTime }), TIMES).score;

  assert.deepEqual([at(0.05), at(0.3), at(0.7)], ["good", "fair", "poor"]);
  assert.equal(read(stats(100, 0), { ...TIMES, state: "disconnected" }).score, "poor");
});

test("what is reported counts from the last report, and says null for what is not known", () => {
  const peer = { connectionId: "c1", state: "connected" } as const;
  const told = read(stats(100, 0), TIMES);
  const now = read(stats(130, 2, { currentRoundTripTime: undefined }), TIMES, told);

  const { packetsReceived, packetsLost, bytesReceived, roundTripMs } = line(peer, now, told);
  assert.deepEqual([packetsReceived, packetsLost, bytesReceived, roundTripMs], [30, 2, 0, null]);
  assert.equal(line(peer, now).packetsReceived, 130);
});
