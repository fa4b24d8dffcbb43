/** What there is to say of a call when it is over, or so far. */

import type { Peer } from "./peer.js";
import type { Quality } from "./quality.js";

/** One peer's part in a call. */
export interface PeerSummary {
  readonly connectionId: string;
  readonly userId: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly startedAt: Date;
  /** `undefined` while the peer is there. */
  readonly endedAt: Date | undefined;
  readonly durationMs: number;
  /** As last read. */
  readonly quality: Quality | undefined;
}

/** A call in figures. Bytes and packets are those of all peers, since the beginning. */
export interface Summary {
  readonly startedAt: Date;
  /** `undefined` while the call lasts. */
  readonly endedAt: Date | undefined;
  readonly durationMs: number;
  /** In the order in which they came; who came twice is here twice. */
  readonly peers: readonly PeerSummary[];
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly packetsReceived: number;
  readonly packetsLost: number;
}

interface Part {
  readonly peer: Peer;
  readonly startedAt: Date;
  endedAt: Date | undefined;
}

/** A call that many come to and leave is summed up by the last of them. */
const MOST_PARTS = 1000;

export class Chronicle {
  readonly #startedAt = new Date();
  #endedAt: Date | undefined;
  readonly #parts: Part[] = [];

  came(peer: Peer): void {
    this.#parts.push({ peer, startedAt: new Date(), endedAt: undefined });
    if (this.#parts.length > MOST_PARTS) this.#parts.shift();
  }

  went(peer: Peer): void {
    const part = this.#parts.find((candidate) => candidate.peer === peer);
    if (part) part.endedAt = new Date();
  }

  /** The same member, with another peer connection: where nothing came over the one before, it is not told of. */
  changed(peer: Peer): void {
    if (peer.quality) return this.went(peer);
    const index = this.#parts.findIndex((candidate) => candidate.peer === peer);
    if (index >= 0) this.#parts.splice(index, 1);
  }

  end(): void {
    this.#endedAt ??= new Date();
  }

  summary(now = new Date()): Summary {
    const peers = this.#parts.map(({ peer, startedAt, endedAt }) => ({
      connectionId: peer.connectionId,
      userId: peer.member.userId,
      metadata: peer.member.metadata,
      startedAt,
      endedAt,
      durationMs: Number(endedAt ?? now) - Number(startedAt),
      quality: peer.quality,
    }));
    const sum = (name: "bytesSent" | "bytesReceived" | "packetsReceived" | "packetsLost") =>
      peers.reduce((total, { quality }) => total + (quality?.[name] ?? 0), 0);
    return {
      startedAt: this.#startedAt,
      endedAt: this.#endedAt,
      durationMs: Number(this.#endedAt ?? now) - Number(this.#startedAt),
      peers,
      bytesSent: sum("bytesSent"),
      bytesReceived: sum("bytesReceived"),
      packetsReceived: sum("packetsReceived"),
      packetsLost: sum("packetsLost"),
    };
  }
}
