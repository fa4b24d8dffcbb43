/**
 * Signals of those who are not known as members yet.
 *
 * What one member says and that it has joined come on different ways: the signal may be the faster.
 * Strangers can signal too, so what is kept is little and not for long.
 */

import type { Signal } from "./frames.js";

const KEPT_MS = 5000;
const MOST = 256;

export class EarlySignals {
  #kept: { readonly signal: Signal; readonly at: number }[] = [];

  keep(signal: Signal): void {
    this.#forget();
    this.#kept.push({ signal, at: Date.now() });
    if (this.#kept.length > MOST) this.#kept.shift();
  }

  /** Return what somebody has said so far, in its order, and keep it no longer. */
  take(from: string): Signal[] {
    this.#forget();
    const said = this.#kept.filter(({ signal }) => signal.from === from);
    this.#kept = this.#kept.filter(({ signal }) => signal.from !== from);
    return said.map(({ signal }) => signal);
  }

  #forget(): void {
    const oldest = Date.now() - KEPT_MS;
    this.#kept = this.#kept.filter(({ at }) => at >= oldest);
  }
}
