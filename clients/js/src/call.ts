/**
 * The third layer: a call with everybody in a room.
 *
 * Whoever comes later makes the first offer, so that the two sides seldom meet; when they
 * do, perfect negotiation settles it.
 */

import type { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import type { Member, Signal } from "./frames.js";
import { fetchIceServers } from "./ice.js";
import { isSignalData, type SignalData } from "./negotiation.js";
import { type Kind, Peer } from "./peer.js";
import { type JoinOptions, join, type Room } from "./room.js";

export interface CallEvents {
  /** A peer came, or its media or state is another. */
  peer: Peer;
  gone: Peer;
  /** Something went wrong with one peer; the others are not concerned. */
  trouble: { readonly connectionId: string; readonly error: unknown };
}

export interface CallOptions extends JoinOptions {
  /** Camera and microphone, one of them, or nothing yet. */
  readonly stream?: MediaStream;
  /** ICE servers, if not those that the server names. */
  readonly iceServers?: readonly RTCIceServer[];
  /** Whom to call; everybody unless it says otherwise. Who calls us is answered in any case. */
  readonly whom?: (member: Member) => boolean;
}

/** Join a room and call everybody in it. */
export async function joinCall(
  connection: Connection,
  name: string,
  options: CallOptions = {},
): Promise<Call> {
  const iceServers = options.iceServers ?? (await fetchIceServers(connection));
  const room = await join(connection, name, options);
  return new Call(room, { ...options, iceServers });
}

export class Call extends Emitter<CallEvents> {
  readonly room: Room;
  /** What is sent to everybody. Change it with `setTrack`. */
  readonly local: MediaStream;
  readonly #iceServers: readonly RTCIceServer[];
  readonly #whom: (member: Member) => boolean;
  readonly #peers = new Map<string, Peer>();
  readonly #stops: (() => void)[];

  /** Start right after joining: the first offers of later members come at once. */
  constructor(
    room: Room,
    { stream, iceServers = [], whom = () => true }: Omit<CallOptions, "metadata"> = {},
  ) {
    super();
    this.room = room;
    this.local = stream ?? new MediaStream();
    this.#iceServers = iceServers;
    this.#whom = whom;
    this.#stops = [
      room.connection.on("signal", (signal) => this.#signalled(signal)),
      room.on("left", ({ member }) => this.#drop(member.connectionId)),
      room.on("rejoined", ({ renewed }) => renewed && this.#startOver()),
      room.on("removed", () => this.#end()),
    ];
    this.#callEverybody();
  }

  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }

  /** Send this track to everybody from now on, or nothing of its kind. The old one goes on; stop it if it is yours. */
  async setTrack(kind: Kind, track: MediaStreamTrack | null): Promise<void> {
    for (const old of this.local.getTracks()) if (old.kind === kind) this.local.removeTrack(old);
    if (track) this.local.addTrack(track);
    await Promise.all([...this.#peers.values()].map((peer) => peer.setTrack(kind, track)));
  }

  /** Leave the call and the room. The local tracks go on; stop them if they are yours. */
  async leave(): Promise<void> {
    this.#end();
    await this.room.leave();
  }

  #callEverybody(): void {
    for (const member of this.room.members.values()) {
      if (this.#whom(member)) this.#peer(member.connectionId).offer();
    }
  }

  /** Under a new id we are a newcomer to everybody. */
  #startOver(): void {
    for (const id of [...this.#peers.keys()]) this.#drop(id);
    this.#callEverybody();
  }

  #signalled({ from, data }: Signal): void {
    if (!isSignalData(data) || !this.room.members.has(from)) return;
    this.#peer(from)
      .receive(data)
      .catch((error: unknown) => this.emit("trouble", { connectionId: from, error }));
  }

  #peer(connectionId: string): Peer {
    const present = this.#peers.get(connectionId);
    if (present) return present;
    const peer: Peer = new Peer({
      connectionId,
      polite: this.room.members.get(connectionId)?.polite ?? true,
      iceServers: this.#iceServers,
      local: this.local,
      send: (data) => this.#send(connectionId, data),
      changed: () => this.emit("peer", peer),
    });
    this.#peers.set(connectionId, peer);
    this.emit("peer", peer);
    return peer;
  }

  #send(connectionId: string, data: SignalData): void {
    this.room.connection
      .signal(connectionId, data)
      .catch((error: unknown) => this.emit("trouble", { connectionId, error }));
  }

  #drop(connectionId: string): void {
    const peer = this.#peers.get(connectionId);
    if (!peer) return;
    this.#peers.delete(connectionId);
    peer.close();
    this.emit("gone", peer);
  }

  #end(): void {
    for (const stop of this.#stops) stop();
    for (const id of [...this.#peers.keys()]) this.#drop(id);
  }
}
