/** Whether and when to come back. */

/** How long to wait between attempts: anything up to a bound, which doubles with each. */
export interface Backoff {
  /** The first bound, in milliseconds. */
  readonly firstMs: number;
  /** The highest bound, in milliseconds. */
  readonly capMs: number;
}

export const DEFAULT_BACKOFF: Backoff = { firstMs: 250, capMs: 15_000 };

/** Final, unless there is a fresh token to come back with. */
export const TOKEN_EXPIRED = 4501;

const POLICY = 1008;
const FIRST_FINAL = 4500;
const LAST_FINAL = 4999;

/** Return whether coming back may help after a close with this code. The range decides, so new codes need no list. */
export function mayReconnect(closeCode: number): boolean {
  return closeCode !== POLICY && (closeCode < FIRST_FINAL || closeCode > LAST_FINAL);
}

/**
 * Return how many milliseconds to wait before the attempt, counted from 0.
 *
 * Full jitter: anywhere between nothing and the growing bound, so that clients that were
 * cut off together do not come back together.
 */
export function waitBefore(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  const bound = Math.min(backoff.capMs, backoff.firstMs * 2 ** Math.min(attempt, 30));
  return random() * bound;
}
