/**
 * Looks after the path that one peer connection's media takes.
 *
 * ICE restarts where the path is in trouble, or where nothing comes through it after the
 * network has changed. Media that flows is not touched. No restart begins while the server is
 * out of reach: without a network there are no addresses to be found, and nobody to tell them to.
 */

/** How long a path may be disconnected before another one is looked for; most come back by themselves. */
const DISCONNECTED_MS = 2500;
/** How long to look for a path before the search begins anew; twice as long each time. */
const SEARCH_MS = 8000;
const LONGEST_SEARCH_MS = 60_000;
/** A search this young already knows the network as it is now. */
const FRESH_MS = 1000;
/** Within this time a path that works has carried a consent check (RFC 7675: each 5 s). */
const SILENCE_MS = 6000;

export class Path {
  readonly #pc: RTCPeerConnection;
  readonly #reachable: () => boolean;
  readonly #restart: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #check: ReturnType<typeof setTimeout> | undefined;
  #searches = 0;
  #searchedAt = Number.NEGATIVE_INFINITY;

  /** `reachable` says whether the server can be reached, and through it the other side; `restart` looks for a path. */
  constructor(pc: RTCPeerConnection, reachable: () => boolean, restart: () => void) {
    this.#pc = pc;
    this.#reachable = reachable;
    this.#restart = restart;
    pc.oniceconnectionstatechange = () => this.#changed();
  }

  /** We were away, or the network is another: see whether the path still works. */
  examine(): void {
    if (this.#troubled) return performance.now() - this.#searchedAt > FRESH_MS ? this.#search() : undefined;
    if (this.#pc.iceConnectionState === "new" || this.#check !== undefined) return;
    void this.#listen();
  }

  /** To be called with the peer connection's own end. */
  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#check);
    this.#pc.oniceconnectionstatechange = null;
  }

  get #troubled(): boolean {
    return ["disconnected", "failed"].includes(this.#pc.iceConnectionState);
  }

  #changed(): void {
    switch (this.#pc.iceConnectionState) {
      case "connected":
      case "completed":
        this.#searches = 0;
        clearTimeout(this.#timer);
        return;
      case "disconnected":
        return this.#later(DISCONNECTED_MS);
      case "failed":
        // of a search that is under way this is the end; its own timer says when the next begins
        if (this.#searches === 0) this.#search();
        return;
    }
  }

  #later(wait: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#troubled || this.#searching) this.#search();
    }, wait);
  }

  get #searching(): boolean {
    return this.#searches > 0 && this.#pc.iceConnectionState === "checking";
  }

  /** Once the server can be reached again, `examine` is called. */
  #search(): void {
    if (!this.#reachable()) return;
    this.#restart();
    this.#later(Math.min(LONGEST_SEARCH_MS, SEARCH_MS * 2 ** this.#searches));
    this.#searches += 1;
    this.#searchedAt = performance.now();
  }

  /** Look for another path if nothing at all comes through this one. */
  async #listen(): Promise<void> {
    const before = await heard(this.#pc);
    clearTimeout(this.#check);
    if (this.#pc.signalingState === "closed") return;
    this.#check = setTimeout(async () => {
      this.#check = undefined;
      const now = await heard(this.#pc);
      if (this.#pc.signalingState !== "closed" && now === before) this.#search();
    }, SILENCE_MS);
  }
}

/** How much the other side has said over all paths: media, and answers to consent checks. */
async function heard(pc: RTCPeerConnection): Promise<number> {
  let sum = 0;
  for (const entry of (await pc.getStats()).values()) {
    if (entry.type === "candidate-pair") sum += (entry.bytesReceived ?? 0) + (entry.responsesReceived ?? 0);
  }
  return sum;
}
