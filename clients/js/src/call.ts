/**
 * The third layer: a call with everybody in a room who is willing.
 *
 * Whoever comes later makes the first offer, so that the two sides seldom meet; when they
 * do, perfect negotiation settles it.
 */

import type { Connection } from "./connection.js";
import { EarlySignals } from "./early.js";
import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";
import type { Member, Signal } from "./frames.js";
import { IceServers } from "./ice.js";
import { willing } from "./membership.js";
import { type Kind, Outgoing } from "./outgoing.js";
import { Participation, type Unwilling } from "./participation.js";
import { isPeerData, Peer, type PeerData } from "./peer.js";
import { Reports } from "./reports.js";
import { type JoinOptions, join, type Room } from "./room.js";
import { Chronicle, type Summary } from "./summary.js";

/** What happens in a call. */
export interface CallEvents {
  /** A peer came, or its media, its state or what it says of itself is another. */
  peer: Peer;
  /** A peer is gone, or does not take part any more. */
  gone: Peer;
  /** What is sent from here is another: muted, another device, the screen, taking part or not. */
  local: undefined;
  /** Said with `send` by a peer. From a stranger: take it as such. */
  data: { readonly from: string; readonly data: string | ArrayBuffer };
  /** A peer's `quality` was read anew. */
  quality: Peer;
  /** Something went wrong with one peer; the others are not concerned. */
  trouble: { readonly connectionId: string; readonly error: unknown };
}

/** How to take part in a call. */
export interface CallOptions extends JoinOptions {
  /** Camera and microphone, one of them, or nothing yet. */
  readonly stream?: MediaStream;
  /** ICE servers, if not those that the server names. */
  readonly iceServers?: readonly RTCIceServer[];
  /** Take part at once; otherwise with `takePart()`. */
  readonly takePart?: boolean;
  /** Tell the server how the call goes, if it wants to know. */
  readonly reports?: boolean;
  /** Of those who are willing, whom to call; everybody unless it says otherwise. Who calls us is answered in any case. */
  readonly whom?: (member: Member) => boolean;
}

/** If somebody who is willing has not offered by then, we do. */
const PATIENCE_MS = 2000;

/** Join a room, and call everybody in it who is willing. Rejects as `join` does. */
export async function joinCall(
  connection: Connection,
  name: string,
  { takePart = true, iceServers: given, stream, ...options }: CallOptions = {},
): Promise<Call> {
  const outgoing = new Outgoing(stream ?? new MediaStream());
  const participation = new Participation(connection, outgoing);
  const iceServers = new IceServers(connection, given);
  const early: Signal[] = [];
  const stop = connection.on("signal", (signal) => early.push(signal));
  // The socket keeps the order: who joins is willing already, and is seen so.
  const begun = takePart ? participation.begin() : undefined;
  const ready = Promise.all([begun, iceServers.known]);
  const joined = join(connection, name, { ...options, ready });
  try {
    const [room] = await Promise.all([joined, ready]);
    return new Call(room, { ...options, outgoing, participation, iceServers, early });
  } catch (error) {
    iceServers.close();
    if (takePart) participation.end("online").catch(() => {});
    joined.then((room) => room.leave()).catch(() => {});
    throw error;
  } finally {
    stop();
  }
}

interface Parts extends Pick<CallOptions, "reports" | "whom"> {
  readonly outgoing: Outgoing;
  readonly participation: Participation;
  readonly iceServers: IceServers;
  /** What was signalled while the room was joined. */
  readonly early: readonly Signal[];
}

/** A call with everybody in a room who is willing. Made by `joinCall`. */
export class Call extends Emitter<CallEvents> {
  /** The room that it is in: members, chat, invitations. */
  readonly room: Room;
  readonly #outgoing: Outgoing;
  readonly #participation: Participation;
  readonly #iceServers: IceServers;
  readonly #whom: (member: Member) => boolean;
  readonly #peers = new Map<string, Peer>();
  readonly #early = new EarlySignals();
  readonly #reports: Reports;
  readonly #chronicle = new Chronicle();
  /** Offers that are due if the others make none. */
  readonly #due = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #stops: (() => void)[];
  #stopWatchingScreen: (() => void) | undefined;

  /** @internal */
  constructor(
    room: Room,
    { outgoing, participation, iceServers, early, reports = true, whom = () => true }: Parts,
  ) {
    super();
    const { connection } = room;
    this.room = room;
    this.#outgoing = outgoing;
    this.#participation = participation;
    this.#iceServers = iceServers;
    this.#whom = whom;
    this.#reports = new Reports(room, this.#peers, reports);
    iceServers.renewed = (servers) => this.#each((peer) => peer.useIceServers(servers));
    const examine = () => this.#each((peer) => peer.examine());
    this.#stops = [
      connection.on("signal", (signal) => this.#signalled(signal)),
      connection.on("state", (state) => state === "open" && examine()),
      onNetworkChange(examine),
      room.on("joined", (member) => this.#joined(member)),
      room.on("changed", (member) => this.#changed(member)),
      room.on("left", ({ member }) => this.#drop(member.connectionId)),
      room.on("rejoined", ({ renewed }) => renewed && this.#startOver()),
      room.on("removed", () => this.#end()),
    ];
    for (const signal of early) this.#signalled(signal);
    if (this.takesPart) this.#callEverybody();
  }

  /** Microphone and camera. Change them with `setTrack`. */
  get local(): MediaStream {
    return this.#outgoing.local;
  }

  /** Those with whom one is in the call, by connection id. */
  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }

  /** Whether one is in the call: calls others, and answers them. */
  get takesPart(): boolean {
    return this.#participation.takesPart;
  }

  /** Which of microphone and camera the others do not get, also as there is none. */
  get muted(): { readonly audio: boolean; readonly video: boolean } {
    return { audio: this.#outgoing.muted("audio"), video: this.#outgoing.muted("video") };
  }

  /** Whether the others see a screen in place of the camera. */
  get sharing(): boolean {
    return this.#outgoing.screen !== undefined;
  }

  /** The screen that the others see, if they see one. */
  get screen(): MediaStreamTrack | undefined {
    return this.#outgoing.screen;
  }

  /** Be `available`, and call everybody who is willing. */
  async takePart(): Promise<void> {
    if (this.takesPart) return;
    await this.#participation.begin();
    this.emit("local", undefined);
    if (this.takesPart) this.#callEverybody();
  }

  /** Hang up with everybody, and be so available. One stays in the room: chat goes on, and invitations come. */
  async stepBack(to: Unwilling): Promise<void> {
    await this.#reports.now();
    const ended = this.#participation.end(to);
    this.#hangUp();
    this.emit("local", undefined);
    await ended;
  }

  /** Send this track to everybody from now on, or nothing of its kind. The old one goes on; stop it if it is yours. */
  async setTrack(kind: Kind, track: MediaStreamTrack | null): Promise<void> {
    this.#outgoing.take(kind, track);
    await this.#sendAnew(kind);
  }

  /** Send nothing of a kind, and tell the others. The device stays as it is: its light is its track's owner's matter. */
  async mute(kind: Kind): Promise<void> {
    this.#outgoing.mute(kind, true);
    await this.#sendAnew(kind);
  }

  /** Send it again, and tell the others. */
  async unmute(kind: Kind): Promise<void> {
    this.#outgoing.mute(kind, false);
    await this.#sendAnew(kind);
  }

  /**
   * Send a screen in place of the camera: the given one, or the one that the user chooses. It ends by itself
   * when its track does. Rejects with the browser's own error if the user chooses none.
   */
  async shareScreen(stream?: MediaStream): Promise<void> {
    const [track] = (
      stream ?? (await navigator.mediaDevices.getDisplayMedia({ video: true }))
    ).getVideoTracks();
    if (!track) throw new TypeError("There is no picture in this stream; give one with a video track.");
    this.#stopWatchingScreen?.();
    const ended = () => void this.stopSharing().catch(() => {}); // no connection, nobody to be told
    track.addEventListener("ended", ended);
    this.#stopWatchingScreen = () => {
      track.removeEventListener("ended", ended);
      if (!stream) track.stop();
    };
    this.#outgoing.screen = track;
    await this.#sendAnew("video");
  }

  /** Send the camera again. A screen that the user has chosen is let go; one that was given goes on. */
  async stopSharing(): Promise<void> {
    if (!this.sharing) return;
    this.#letGoOfScreen();
    await this.#sendAnew("video");
  }

  /**
   * Say something straight to one peer, or to all: over their data channels, past the server. It reaches those
   * with whom the connection stands; to one with whom it does not it throws a `ParleyError` of code `gone`.
   */
  send(data: string | ArrayBuffer, to?: string): void {
    if (to === undefined) return this.#each((peer) => peer.say(data));
    if (!this.#peers.get(to)?.say(data))
      throw new ParleyError(
        "gone",
        "There is no connection to this peer now; try again when it is connected.",
      );
  }

  /** What there is to say of the call so far, or when it is over. */
  summary(): Summary {
    return this.#chronicle.summary();
  }

  /** Leave the call and the room. The local tracks go on; stop them if they are yours. */
  async leave(): Promise<void> {
    await this.#reports.now();
    this.#end();
    await Promise.all([this.#participation.end("online").catch(() => {}), this.room.leave()]);
  }

  async #sendAnew(kind: Kind): Promise<void> {
    this.emit("local", undefined);
    const told = this.#participation.tell();
    await Promise.all([...[...this.#peers.values()].map((peer) => peer.send(kind)), told]);
  }

  #letGoOfScreen(): void {
    this.#stopWatchingScreen?.();
    this.#stopWatchingScreen = undefined;
    this.#outgoing.screen = undefined;
  }

  #each(act: (peer: Peer) => unknown): void {
    for (const peer of [...this.#peers.values()]) act(peer);
  }

  #callEverybody(): void {
    for (const member of this.room.members.values()) this.#call(member);
  }

  /** Offer, if that is wanted and not done yet. */
  #call(member: Member): void {
    if (!this.takesPart || this.#peers.has(member.connectionId)) return;
    if (willing(member) && this.#whom(member)) this.#meet(member).offer();
  }

  /** Who comes to be willing makes the offer. If it does not come, we make it. */
  #expect({ connectionId }: Member): void {
    if (this.#due.has(connectionId)) return;
    const due = setTimeout(() => {
      this.#due.delete(connectionId);
      const member = this.room.members.get(connectionId);
      if (member) this.#call(member);
    }, PATIENCE_MS);
    this.#due.set(connectionId, due);
  }

  #joined(member: Member): void {
    for (const signal of this.#early.take(member.connectionId)) this.#signalled(signal);
    if (willing(member)) this.#expect(member);
  }

  #changed(member: Member): void {
    const peer = this.#peers.get(member.connectionId);
    if (!peer) {
      if (willing(member)) this.#expect(member);
      return;
    }
    const wasWilling = willing(peer.member);
    peer.member = member;
    if (wasWilling && !willing(member)) this.#drop(member.connectionId);
    else this.emit("peer", peer);
  }

  /** Under a new id we are a newcomer to everybody. */
  #startOver(): void {
    this.#hangUp();
    if (this.takesPart) this.#callEverybody();
  }

  #signalled(signal: Signal): void {
    const { from, data } = signal;
    if (!isPeerData(data)) return;
    const member = this.room.members.get(from);
    if (!member) return this.#early.keep(signal);
    if (!this.takesPart) return;
    const offer = "description" in data && data.description.type === "offer";
    const peer = this.#peers.get(from) ?? (offer ? this.#meet(member) : undefined);
    peer?.receive(data).catch((error: unknown) => this.emit("trouble", { connectionId: from, error }));
  }

  #meet(member: Member): Peer {
    const { connectionId } = member;
    clearTimeout(this.#due.get(connectionId));
    this.#due.delete(connectionId);
    const { connection } = this.room;
    const peer: Peer = new Peer({
      member,
      iceServers: this.#iceServers.current,
      outgoing: this.#outgoing,
      send: (data) => this.#signal(connectionId, data),
      reachable: () => connection.state === "open",
      changed: () => this.emit("peer", peer),
      data: (data) => this.emit("data", { from: connectionId, data }),
      measured: () => this.emit("quality", peer),
      trouble: (error) => this.emit("trouble", { connectionId, error }),
      beginAnew: (data) => this.#meetAgain(peer, data),
    });
    this.#peers.set(connectionId, peer);
    this.#chronicle.came(peer);
    this.#reports.begin();
    this.emit("peer", peer);
    return peer;
  }

  /** Meet with another peer connection, for which this was said; or offer. */
  #meetAgain(peer: Peer, data?: PeerData): void {
    const { connectionId } = peer;
    if (this.#peers.get(connectionId) === peer) {
      this.#chronicle.changed(peer);
      this.#drop(connectionId);
    }
    if (data) this.#signalled({ type: "signal", from: connectionId, data });
    const member = this.room.members.get(connectionId);
    if (member) this.#call(member);
  }

  async #signal(connectionId: string, data: PeerData): Promise<boolean> {
    try {
      await this.room.connection.signal(connectionId, data);
      return true;
    } catch (error) {
      this.emit("trouble", { connectionId, error });
      return false;
    }
  }

  #drop(connectionId: string): void {
    clearTimeout(this.#due.get(connectionId));
    this.#due.delete(connectionId);
    const peer = this.#peers.get(connectionId);
    if (!peer) return;
    this.#peers.delete(connectionId);
    peer.close();
    this.#chronicle.went(peer);
    this.emit("gone", peer);
  }

  #hangUp(): void {
    for (const id of [...this.#peers.keys(), ...this.#due.keys()]) this.#drop(id);
  }

  #end(): void {
    for (const stop of this.#stops) stop();
    this.#iceServers.close();
    this.#reports.close();
    this.#letGoOfScreen();
    this.#hangUp();
    this.#chronicle.end();
  }
}

/** Call back when the browser says that its network is another. Returns the function that ends it. */
function onNetworkChange(changed: () => void): () => void {
  const { connection } = globalThis.navigator as Navigator & { readonly connection?: EventTarget };
  globalThis.addEventListener("online", changed);
  connection?.addEventListener("change", changed);
  return () => {
    globalThis.removeEventListener("online", changed);
    connection?.removeEventListener("change", changed);
  };
}
