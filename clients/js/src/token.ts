/**
 * The token that a connection speaks with, and when it needs a fresh one.
 *
 * It knows no socket: it asks its source, and says when there is something to tell the server.
 */

import { ClosedError, InterruptedError, RefusedError } from "./errors.js";

/** A JWT, or how to get a fresh one. */
export type TokenSource = string | (() => string | Promise<string>);

export interface TokenEvents {
  /** A fresh one is here: tell the server. Resolves once it was taken. */
  fresh(token: string): Promise<unknown>;
  /** A fresh one could not be had, or was refused; it is tried again while the old one lasts. */
  failed(error: Error): void;
}

/** The share of a token's life after which it is replaced; of what is left then, after which it is tried again. */
const SHARE = 0.8;
const AGAIN_SHARE = 0.2;
/** Between attempts there is at least this time, and at most what a timer can wait for. */
const SOONEST_MS = 1000;
const LATEST_MS = 2 ** 31 - 1;

export class Token {
  readonly #source: TokenSource | undefined;
  readonly #events: TokenEvents;
  #held: string | undefined;
  /** While the source is asked. */
  #asking: Promise<string | undefined> | undefined;
  /** How far the server's clock is before ours. */
  #aheadMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What was begun before the last stop is void. */
  #turn = 0;

  constructor(source: TokenSource | undefined, events: TokenEvents) {
    this.#source = source;
    this.#events = events;
  }

  /** Whether its source can give another one. */
  get renewable(): boolean {
    return typeof this.#source === "function";
  }

  /** Return a fresh one, to connect with; who asks at the same time gets the same. Rejects as its source does. */
  fresh(): Promise<string | undefined> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Return the one that is held, for as long as it is good; a fresh one otherwise. */
  async current(): Promise<string | undefined> {
    const left = this.#held === undefined ? 0 : this.#leftMs(this.#held);
    return left === undefined || left > SOONEST_MS ? this.#held : this.fresh();
  }

  /** The server has taken it; its clock says `time`. From now on it is kept fresh. */
  keep(time: string): void {
    const ahead = Date.parse(time) - Date.now();
    if (Number.isFinite(ahead)) this.#aheadMs = ahead;
    this.#plan();
  }

  /** There is nobody to tell: the next connection begins with a fresh one anyhow. */
  stop(): void {
    this.#turn += 1;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<string | undefined> {
    this.#held = typeof this.#source === "function" ? await this.#source() : this.#source;
    return this.#held;
  }

  #plan(share = SHARE, soonestMs = SOONEST_MS): void {
    this.stop();
    const left = this.#held === undefined ? undefined : this.#leftMs(this.#held);
    if (left === undefined || !this.renewable) return;
    const turn = this.#turn;
    const wait = Math.min(Math.max(soonestMs, left * share), LATEST_MS);
    this.#timer = setTimeout(() => void this.#renew(turn), wait);
  }

  async #renew(turn: number): Promise<void> {
    const before = this.#held;
    try {
      const token = await this.fresh();
      if (turn !== this.#turn || token === undefined) return;
      await this.#events.fresh(token);
      this.#held = token; // which one the server took last decides when the next is due
      this.#plan();
    } catch (error) {
      if (error instanceof InterruptedError || error instanceof ClosedError || turn !== this.#turn) return;
      this.#held = before;
      this.#plan(AGAIN_SHARE, error instanceof RefusedError ? error.retryAfterMs : undefined);
      this.#events.failed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** How long a token is still good by the server's clock; `undefined` if it does not say. */
  #leftMs(token: string): number | undefined {
    const expiry = expiryOf(token);
    return expiry === undefined ? undefined : expiry - Date.now() - this.#aheadMs;
  }
}

/** Return when a JWT expires, in milliseconds since the epoch; `undefined` if it does not say so, or is none. */
export function expiryOf(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(
      atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")),
    );
    const exp = (claims as { exp?: unknown } | null)?.exp;
    return typeof exp === "number" && Number.isFinite(exp) ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
