/** Reads how the call goes, every few seconds, and reports it to the server as long as that wants to know. */

import { ParleyError } from "./errors.js";
import type { PeerReport } from "./frames.js";
import type { Peer } from "./peer.js";
import type { Quality } from "./quality.js";
import type { Room } from "./room.js";

export const REPORT_MS = 5000;
/** What the server takes in one report. */
const MOST_PEERS = 64;

/** Answers that are the same next time. */
const FINAL = ["not_allowed", "unknown_action"];

export class Reports {
  readonly #room: Room;
  readonly #peers: ReadonlyMap<string, Peer>;
  /** What the server has been told of each peer. */
  readonly #told = new WeakMap<Peer, Quality>();
  #wanted: boolean;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(room: Room, peers: ReadonlyMap<string, Peer>, wanted: boolean) {
    this.#room = room;
    this.#peers = peers;
    this.#wanted = wanted;
  }

  /** Somebody is there to read about. */
  begin(): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(async () => {
      await this.now();
      this.#timer = undefined;
      if (this.#peers.size > 0) this.begin();
    }, REPORT_MS);
  }

  /** Read, and report. Never fails: how it goes must not get in the way of its going. */
  async now(): Promise<void> {
    const peers = [...this.#peers.values()];
    await Promise.all(peers.map((peer) => peer.measure().catch(() => {})));
    await this.#report(peers.filter(({ quality }) => quality !== undefined));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #report(peers: readonly Peer[]): Promise<void> {
    const { connection, name } = this.#room;
    // a report that has to wait is of no use to anybody
    if (!this.#wanted || this.#closed || peers.length === 0 || connection.state !== "open") return;
    const read = peers.slice(0, MOST_PEERS).map((peer) => [peer, peer.quality as Quality] as const);
    try {
      await connection.request({
        action: "report",
        room: name,
        peers: read.map(([peer, quality]) => line(peer, quality, this.#told.get(peer))),
      });
      for (const [peer, quality] of read) this.#told.set(peer, quality);
    } catch (error) {
      if (error instanceof ParleyError && FINAL.includes(error.code)) this.#wanted = false;
    }
  }
}

/** What is said of one peer: counts since it was last told of. */
export function line(
  { connectionId, state }: Pick<Peer, "connectionId" | "state">,
  now: Quality,
  told?: Quality,
): PeerReport {
  const since = (name: "bytesSent" | "bytesReceived" | "packetsReceived" | "packetsLost") =>
    Math.max(0, now[name] - (told?.[name] ?? 0));
  return {
    connectionId,
    state,
    bytesSent: since("bytesSent"),
    bytesReceived: since("bytesReceived"),
    packetsReceived: since("packetsReceived"),
    packetsLost: since("packetsLost"),
    jitterMs: now.jitterMs ?? null,
    roundTripMs: now.roundTripMs ?? null,
    localCandidate: now.localCandidate ?? null,
    remoteCandidate: now.remoteCandidate ?? null,
    setupMs: now.setupMs ?? null,
    firstMediaMs: now.firstMediaMs ?? null,
  };
}
