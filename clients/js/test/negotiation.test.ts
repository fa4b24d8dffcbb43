/** Perfect negotiation, between two peer connections that are only their signalling states. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { negotiate, type SignalData } from "../src/negotiation.js";

class SignallingStates {
  signalingState: RTCSignalingState = "stable";
  iceConnectionState: RTCIceConnectionState = "new";
  localDescription: RTCSessionDescription | null = null;
  onnegotiationneeded: (() => Promise<void>) | undefined;
  onicecandidate: ((event: { candidate: unknown }) => void) | undefined;
  oniceconnectionstatechange: (() => void) | undefined;
  /** Whose candidates fit what was negotiated. */
  accepts = "";
  readonly candidates: unknown[] = [];
  restarts = 0;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  async setLocalDescription(): Promise<void> {
    const type = this.signalingState === "have-remote-offer" ? "answer" : "offer";
    this.signalingState = type === "offer" ? "have-local-offer" : "stable";
    const description = { type, sdp: this.#name } as const;
    this.localDescription = { ...description, toJSON: () => description } as RTCSessionDescription;
  }

  async setRemoteDescription({ type }: RTCSessionDescriptionInit): Promise<void> {
    if (type === "answer" && this.signalingState !== "have-local-offer")
      throw new Error("an answer to nothing");
    this.signalingState = type === "offer" ? "have-remote-offer" : "stable"; // an offer rolls our own back
  }

  async addIceCandidate(candidate: { of: string }): Promise<void> {
    if (candidate.of !== this.accepts) throw new Error("a candidate of a description that was not taken");
    this.candidates.push(candidate);
  }

  restartIce(): void {
    this.restarts += 1;
  }
}

function side(polite: boolean) {
  const states = new SignallingStates(polite ? "polite" : "impolite");
  const sent: SignalData[] = [];
  const receive = negotiate(states as unknown as RTCPeerConnection, polite, (data) => sent.push(data));
  return { states, sent, receive, offer: async () => states.onnegotiationneeded?.() };
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

test("when both offer at once it is the impolite side's offer that is answered", async () => {
  const [polite, impolite] = [side(true), side(false)];
  await Promise.all([polite.offer(), impolite.offer()]);
  await talk(polite, impolite);

  assert.deepEqual([types(polite.sent), types(impolite.sent)], [["offer", "answer"], ["offer"]]);
  assert.deepEqual([polite.states.signalingState, impolite.states.signalingState], ["stable", "stable"]);
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

test("a path that has failed is looked for anew", () => {
  const { states } = side(true);
  states.iceConnectionState = "failed";
  states.oniceconnectionstatechange?.();

  assert.equal(states.restarts, 1);
});
