/** Where to find a way through NATs: STUN and TURN servers, with credentials that hold for a while. */

import type { Connection } from "./connection.js";

interface IceAnswer {
  readonly iceServers: RTCIceServer[];
  /** Seconds for which the credentials are good. */
  readonly ttl: number;
}

/** Ask again when this part of the credentials' life is over. */
const REFRESH_AT = 0.8;
/** When to ask again where the server did not answer. */
const RETRY_MS = 10_000;
/** What `setTimeout` can wait. */
const LONGEST_MS = 2 ** 31 - 1;

/** Ask the server for STUN and TURN servers. None is an answer too: calls within one network need none. */
export async function fetchIceServers(connection: Connection): Promise<RTCIceServer[]> {
  return (await ask(connection))?.iceServers ?? [];
}

/** The servers to use now. They are fetched again before their credentials end. */
export class IceServers {
  readonly #connection: Connection;
  /** Resolves when the server has answered for the first time, or could not. */
  readonly known: Promise<void>;
  /** Told of each list after the first. */
  renewed: ((servers: readonly RTCIceServer[]) => void) | undefined;
  #current: readonly RTCIceServer[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** Use those that are `given`, or those that the server names. */
  constructor(connection: Connection, given?: readonly RTCIceServer[]) {
    this.#connection = connection;
    if (given) this.#current = given;
    this.known = given ? Promise.resolve() : this.#fetch();
  }

  get current(): readonly RTCIceServer[] {
    return this.#current;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #fetch(): Promise<void> {
    const answer = await ask(this.#connection);
    if (answer) this.#current = answer.iceServers;
    const wait = answer ? life(answer) : RETRY_MS;
    if (this.#closed || wait === undefined) return;
    this.#timer = setTimeout(async () => {
      await this.#fetch();
      if (!this.#closed) this.renewed?.(this.#current);
    }, wait);
  }
}

/** How long to use an answer, in milliseconds; `undefined` for ever, as nothing in it ends. */
function life({ iceServers, ttl }: IceAnswer): number | undefined {
  if (!iceServers.some(({ credential }) => credential !== undefined)) return undefined;
  return Math.min(LONGEST_MS, Math.max(1, ttl) * 1000 * REFRESH_AT);
}

async function ask(connection: Connection): Promise<IceAnswer | undefined> {
  try {
    const response = await connection.http("/v1/ice-servers");
    return response.ok ? ((await response.json()) as IceAnswer) : undefined;
  } catch {
    return undefined;
  }
}
