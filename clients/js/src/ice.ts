/** Where to find a way through NATs. */

import type { Connection } from "./connection.js";

interface IceAnswer {
  readonly iceServers: RTCIceServer[];
  /** Seconds for which the credentials are good. */
  readonly ttl: number;
}

/** Ask the server for STUN and TURN servers. None is an answer too: calls within one network need none. */
export async function fetchIceServers(connection: Connection): Promise<RTCIceServer[]> {
  try {
    const response = await connection.http("/v1/ice-servers");
    return response.ok ? ((await response.json()) as IceAnswer).iceServers : [];
  } catch {
    return [];
  }
}
