/** How media goes between this side and one peer, read from what the browser counts. */

import type { Metadata } from "./frames.js";

/** How the path to a peer does, for people. */
export type Score = "good" | "fair" | "poor";

/** How media goes between this side and one peer. Times are in milliseconds. */
export interface Quality {
  readonly score: Score;
  /** To the peer and back; `undefined` while it is not known. */
  readonly roundTripMs: number | undefined;
  readonly jitterMs: number | undefined;
  /** The part of the peer's packets that did not come since the last reading, 0 to 1. */
  readonly loss: number;
  /** Of media, since the beginning. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
  readonly localCandidate: RTCIceCandidateType | undefined;
  readonly remoteCandidate: RTCIceCandidateType | undefined;
  /** From the beginning of the negotiation until media could flow. */
  readonly setupMs: number | undefined;
  /** From the same beginning until the first media was decoded. */
  readonly firstMediaMs: number | undefined;
}

/** What a report of `getStats` is made of, as far as it is read here. */
export type Stats = Iterable<Metadata>;

/** What `Peer` knows besides. */
export interface Times {
  readonly state: RTCPeerConnectionState;
  readonly setupMs: number | undefined;
  readonly firstMediaMs: number | undefined;
}

/** Read what the browser has counted; `before` is the last reading, if there is one. */
export function read(stats: Stats, { state, setupMs, firstMediaMs }: Times, before?: Quality): Quality {
  const entries = new Map([...stats].map((entry) => [entry.id, entry]));
  const of = (type: string) => [...entries.values()].filter((entry) => entry.type === type);
  const inbound = of("inbound-rtp");
  const pair = selected(entries);
  const packetsReceived = sum(inbound, "packetsReceived");
  const packetsLost = Math.max(0, sum(inbound, "packetsLost")); // below zero where packets come twice
  const received = packetsReceived - (before?.packetsReceived ?? 0);
  const lost = Math.max(0, packetsLost - (before?.packetsLost ?? 0));
  const loss = received + lost > 0 ? lost / (received + lost) : 0;
  const roundTripMs = milliseconds(
    pair?.currentRoundTripTime ?? most(of("remote-inbound-rtp"), "roundTripTime"),
  );
  const jitterMs = milliseconds(most(inbound, "jitter"));
  return {
    score: score(state, loss, roundTripMs, jitterMs),
    roundTripMs,
    jitterMs,
    loss,
    bytesSent: sum(of("outbound-rtp"), "bytesSent"),
    bytesReceived: sum(inbound, "bytesReceived"),
    packetsReceived,
    packetsLost,
    localCandidate: candidate(entries, pair?.localCandidateId),
    remoteCandidate: candidate(entries, pair?.remoteCandidateId),
    setupMs,
    firstMediaMs,
  };
}

/** From when on one hears it, and from when on one can't talk. (ITU-T G.114: 400 ms one way is too much for anybody.) */
function score(state: RTCPeerConnectionState, loss: number, roundTripMs = 0, jitterMs = 0): Score {
  if (state === "disconnected" || state === "failed") return "poor";
  if (loss > 0.08 || roundTripMs > 600 || jitterMs > 100) return "poor";
  if (loss > 0.02 || roundTripMs > 250 || jitterMs > 40) return "fair";
  return "good";
}

/** The candidates between which media goes. Firefox names the pair itself; the others do so in the transport. */
function selected(entries: ReadonlyMap<unknown, Metadata>): Metadata | undefined {
  for (const entry of entries.values()) {
    if (entry.type === "transport" && entry.selectedCandidatePairId !== undefined)
      return entries.get(entry.selectedCandidatePairId);
    if (entry.type === "candidate-pair" && entry.selected === true) return entry;
  }
  return undefined;
}

function candidate(entries: ReadonlyMap<unknown, Metadata>, id: unknown): RTCIceCandidateType | undefined {
  return entries.get(id)?.candidateType as RTCIceCandidateType | undefined;
}

function numbers(entries: readonly Metadata[], name: string): number[] {
  return entries.map((entry) => entry[name]).filter((value) => typeof value === "number");
}

function sum(entries: readonly Metadata[], name: string): number {
  return numbers(entries, name).reduce((total, value) => total + value, 0);
}

function most(entries: readonly Metadata[], name: string): number | undefined {
  const found = numbers(entries, name);
  return found.length > 0 ? Math.max(...found) : undefined;
}

function milliseconds(seconds: unknown): number | undefined {
  return typeof seconds === "number" && seconds >= 0 ? seconds * 1000 : undefined;
}
