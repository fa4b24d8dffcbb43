/** Perfect negotiation, between two peer connections that are only their signalling states. */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Negotiation, type SignalData } from "../src/negotiation.js";

class SignallingStates {
  signalingState: RTCSignalingState = "stable";
  localDescription: RTCSessionDescription | null = null;
  remoteDescription: { type: RTCSdpType } | null = null;
  currentRemoteDescription: { type: RTCSdpType } | null = null;
  onnegotiationneeded: (() => Promise<void>) | undefined;
  onicecandidate: ((event: { candidate: unknown }) => void) | undefined;
  /** Whose candidates fit what was negotiated. */
  accepts = "";
  readonly candidates: unknown[] = [];
  /** What each of its descriptions says. */
  sdp: string;

  constructor(name: string) {
    this.sdp = origin(name);
  }

  async setLocalDescription(): Promise<void> {
    const type = this.signalingState === "have-remote-offer" ? "answer" : "offer";
    this.signalingState = type === "offer" ? "have-local-offer" : "stable";
    const description = { type, sdp: this.sdp } as const;
    this.localDescription = { ...description, toJSON: () => description } as RTCSessionDescription;
  }

  async setRemoteDescription({ type }: RTCSessionDescriptionInit): Promise<void> {
    if (type === "answer" && this.signalingState !== "have-local-offer")
      throw new Error("an answer to nothing");
    this.signalingState = type === "offer" ? "have-remote-offer" : "stable"; // an offer rolls our own back
    this.remoteDescription = { type };
    this.currentRemoteDescription = { type };
  }

  async addIceCandidate(candidate: { of: string }): Promise<void> {
    if (candidate.of !== this.accepts) throw new Error("a candidate of a description that was not taken");
    this.candidates.push(candidate);
  }
}

/** The beginning of a description: which peer connection it is of. */
const origin = (session: string) => `v=0\r\no=- ${session} 2 IN IP4 127.0.0.1\r\n`;

function side(polite: boolean) {
  const states = new SignallingStates(polite ? "polite" : "impolite");
  const sent: SignalData[] = [];
  const renewals: (SignalData | undefined)[] = [];
  const negotiation = new Negotiation(states as unknown as RTCPeerConnection, {
    polite,
    send: (data) => sent.push(data),
    beginAnew: (data) => renewals.push(data),
  });
  after(() => negotiation.close());
  const receive = (data: SignalData) => negotiation.receive(data);
  return { states, sent, renewals, receive, offer: async () => states.onnegotiationneeded?.() };
}

const types = (sent: SignalData[]) =>
  sent.map((data) => ("description" in data ? data.description.type : ""));

/** Hand over what was said so far, and what that makes each say, until nobody says more. */
async function talk(one: ReturnType<typeof side>, other: ReturnType<typeof side>): Promise<void> {
  let [done, heard] = [0, 0];
  while (done < one.sent.length || heard < other.sent.length) {
    const [ones, others] = [one.sent.slice(done), other.sent.slice(heard)];
    [done, heard] = [one.sent.length, other.sent.length];
    for (const data of ones) await other.receive(data);
    for (const data of others) await one.receive(data);
  }
}

const candidateOf = (name: string) => ({ candidate: { of: name } as RTCIceCandidateInit });

test("an offer is answered", async () => {
  const [one, other] = [side(true), side(false)];
  await one.offer();
  await talk(one, other);

  assert.deepEqual([types(one.sent), types(other.sent)], [["offer"], ["answer"]]);
});

test("when both begin at once the polite side lets go of its offer, and takes the other's from the start", async () => {
  const [polite, impolite] = [side(true), side(false)];
  await Promise.all([polite.offer(), impolite.offer()]);
  await talk(polite, impolite);
  const candidate = candidateOf("impolite");
  await polite.receive(candidate);

  assert.deepEqual(polite.renewals, [impolite.sent[0], candidate]);
  assert.deepEqual([types(polite.sent), types(impolite.sent)], [["offer"], ["offer"]]);
});

test("when both offer in mid-call the impolite side's offer is answered, and the polite side begins anew", async () => {
  const [polite, impolite] = [side(true), side(false)];
  await polite.offer();
  await talk(polite, impolite);
  for (const { sent } of [polite, impolite]) sent.length = 0;
  await Promise.all([polite.offer(), impolite.offer()]);
  await talk(polite, impolite);

  assert.deepEqual([types(polite.sent), types(impolite.sent)], [["offer", "answer"], ["offer"]]);
  assert.deepEqual([polite.states.signalingState, impolite.states.signalingState], ["stable", "stable"]);
  assert.deepEqual([polite.renewals, impolite.renewals], [[undefined], []]);
});

test("candidates of an offer that was ignored are of no use, and no error", async () => {
  const impolite = side(false);
  await impolite.offer();
  await impolite.receive({ description: { type: "offer", sdp: "polite" } });
  await impolite.receive(candidateOf("polite"));

  assert.deepEqual(impolite.states.candidates, []);
});

test("a candidate that should fit and does not is an error", async () => {
  const polite = side(true);
  polite.states.accepts = "impolite";
  await polite.receive({ description: { type: "offer", sdp: "impolite" } });
  await polite.receive(candidateOf("impolite"));

  await assert.rejects(polite.receive(candidateOf("nobody")));
  assert.equal(polite.states.candidates.length, 1);
});

test("an offer that nobody answers is said again, a few times; one that is answered is not", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const [one, other] = [side(true), side(false)];
  await one.offer();
  for (const wait of [8000, 16_000, 32_000, 64_000, 128_000]) t.mock.timers.tick(wait);
  assert.deepEqual(types(one.sent), ["offer", "offer", "offer", "offer"]);

  await talk(one, other);
  one.sent.length = 0;
  await one.offer();
  await talk(one, other);
  t.mock.timers.tick(8000);
  assert.deepEqual(types(one.sent), ["offer"]);
});

test("the answers to an offer that was said twice are one answer", async () => {
  const [one, other] = [side(true), side(false)];
  await one.offer();
  const [offer] = one.sent as [SignalData];
  await other.receive(offer);
  await other.receive(offer);
  assert.deepEqual(types(other.sent), ["answer", "answer"]);

  for (const answer of other.sent) await one.receive(answer);
  assert.equal(one.states.signalingState, "stable");
});

test("a description of another peer connection is not taken, and said", async () => {
  const [one, other] = [side(true), side(false)];
  await one.offer();
  await talk(one, other);
  const anew = { type: "offer", sdp: origin("another") } as const;
  await one.receive({ description: anew });

  assert.deepEqual(one.renewals, [{ description: anew }]);
  assert.deepEqual(types(one.sent), ["offer"]);
});
