/**
 * Saying to the others whether this client takes part, and with what.
 *
 * Availability is the connection's: calls in several rooms share it.
 */

import type { Connection } from "./connection.js";
import { RefusedError } from "./errors.js";
import type { Availability, Metadata } from "./frames.js";
import type { Outgoing } from "./outgoing.js";

/**
 * What to be when one does not take part in calls. A connection is `online` until it has said anything
 * else: after that the others see it as `away`.
 */
export type Unwilling = "online" | "busy" | "away";

/** In what a connection takes part. */
const current = new WeakMap<Connection, Set<Participation>>();

export class Participation {
  readonly #connection: Connection;
  readonly #outgoing: Outgoing;
  #takesPart = false;

  constructor(connection: Connection, outgoing: Outgoing) {
    this.#connection = connection;
    this.#outgoing = outgoing;
  }

  get takesPart(): boolean {
    return this.#takesPart;
  }

  /** Take part; resolves once the others can know. */
  async begin(): Promise<void> {
    this.#takesPart = true;
    const all = current.get(this.#connection) ?? new Set();
    current.set(this.#connection, all.add(this));
    await Promise.all([this.#say({ availability: "available" }), this.tell()]);
  }

  /** Take part no longer. Whoever does so in another room stays available. */
  async end(to: Unwilling): Promise<void> {
    this.#takesPart = false;
    const all = current.get(this.#connection);
    all?.delete(this);
    if (all?.size) return;
    const { availability } = this.#connection;
    if (to === availability || (to === "online" && availability !== "available")) return;
    await this.#say({ availability: to === "online" ? "away" : to });
  }

  /** Tell what is muted and what is shown. */
  async tell(): Promise<void> {
    if (this.#takesPart) await this.#say({ metadata: this.#outgoing.metadata() });
  }

  /** Where the token does not allow it, nobody is told; the call goes on. */
  async #say(presence: { availability: Availability } | { metadata: Metadata }): Promise<void> {
    try {
      await this.#connection.setPresence(presence);
    } catch (error) {
      if (!(error instanceof RefusedError && error.code === "not_allowed")) throw error;
    }
  }
}
