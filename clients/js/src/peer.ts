/** One remote member of a call: the peer connection to it, what it sends, and how well that goes. */

import type { Member } from "./frames.js";
import { fragment, isSignalData, Negotiation, type SignalData } from "./negotiation.js";
import { KINDS, type Kind, type Outgoing } from "./outgoing.js";
import { Path } from "./path.js";
import { type Quality, read } from "./quality.js";

/** What peers signal to each other: steps of a negotiation; or, to the impolite side, that these ICE credentials are to be replaced. */
export type PeerData = SignalData | { readonly restart: string };

export function isPeerData(data: unknown): data is PeerData {
  if (isSignalData(data)) return true;
  return typeof data === "object" && data !== null && "restart" in data && typeof data.restart === "string";
}

export interface PeerOptions {
  /** As last seen. */
  readonly member: Member;
  readonly iceServers: readonly RTCIceServer[];
  readonly outgoing: Outgoing;
  /** Resolves with whether the server took it. */
  readonly send: (data: PeerData) => Promise<boolean>;
  /** Whether the server can be reached now. */
  readonly reachable: () => boolean;
  /** The stream has other tracks, or the connection is in another state. */
  readonly changed: () => void;
  readonly data: (data: string | ArrayBuffer) => void;
  readonly measured: () => void;
  readonly trouble: (error: unknown) => void;
  /** This peer is of no use any more; the member may have said this to another one that is to be made. */
  readonly beginAnew: (data?: PeerData) => void;
}

/** Both sides have the channel under this number: it needs no words of its own. */
const CHANNEL = { label: "parley", id: 0 } as const;
/** How long the impolite side has for what it was asked for. */
const ASKED_MS = 3000;
const DECODED_POLL_MS = 30;
const DECODED_PATIENCE_MS = 10_000;

/** One remote member of a call. Made by the call, which says `peer` when there is something new about it. */
export class Peer {
  readonly connectionId: string;
  /** The browser's own. Look at it, and leave negotiation and transceivers to the call. */
  readonly pc: RTCPeerConnection;
  /** What the member sends; the same object for as long as the peer lasts. */
  readonly stream = new MediaStream();
  /** As last read; `undefined` until media flows. */
  quality: Quality | undefined;
  /** As the others see it now; kept up to date by the call. */
  member: Member;
  readonly #options: PeerOptions;
  readonly #polite: boolean;
  readonly #negotiation: Negotiation;
  readonly #path: Path;
  /** What carries microphone and camera. */
  readonly #media = new Map<Kind, RTCRtpTransceiver>();
  readonly #begun = performance.now();
  #channel: RTCDataChannel | undefined;
  #setupMs: number | undefined;
  #firstMediaMs: number | undefined;
  #asked: ReturnType<typeof setTimeout> | undefined;
  #decoding: ReturnType<typeof setTimeout> | undefined;

  /** @internal */
  constructor(options: PeerOptions) {
    this.#options = options;
    this.member = options.member;
    this.connectionId = options.member.connectionId;
    this.#polite = options.member.polite;
    this.pc = new RTCPeerConnection({ iceServers: [...options.iceServers] });
    this.#negotiation = new Negotiation(this.pc, {
      polite: this.#polite,
      send: (data) => void options.send(data),
      answering: () => this.#answer(),
      beginAnew: options.beginAnew,
      trouble: options.trouble,
    });
    this.#path = new Path(this.pc, options.reachable, () => this.restartIce());
    this.pc.onconnectionstatechange = () => this.#moved();
    this.pc.ontrack = ({ track }) => this.#receive(track);
  }

  /** `connected` once media can flow. */
  get state(): RTCPeerConnectionState {
    return this.pc.connectionState;
  }

  /** What the member says of its microphone and camera. */
  get muted(): { readonly audio: boolean; readonly video: boolean } {
    const { audio, video } = this.member.metadata;
    return { audio: audio === "off", video: video === "off" };
  }

  /** Whether the picture is the member's screen. */
  get sharing(): boolean {
    return this.member.metadata.screen === "on";
  }

  /** How loud the member is now, 0 to 1. Cheap enough to be asked in each frame. */
  audioLevel(): number {
    const sources = this.#media.get("audio")?.receiver.getSynchronizationSources?.() ?? [];
    return this.muted.audio ? 0 : (sources[0]?.audioLevel ?? 0);
  }

  /**
   * Make an offer that can carry everything, also what is not sent now: nothing has to be negotiated later.
   *
   * @internal
   */
  offer(): void {
    const { outgoing } = this.#options;
    for (const kind of KINDS)
      this.#media.set(kind, this.pc.addTransceiver(outgoing.track(kind) ?? kind, this.#both));
    this.#openChannel();
  }

  get #both(): RTCRtpTransceiverInit {
    return { direction: "sendrecv", streams: [this.#options.outgoing.local] };
  }

  /** @internal */
  async receive(data: PeerData): Promise<void> {
    if (!("restart" in data)) return this.#negotiation.receive(data);
    // if it is not the same any more, what they ask for is done already
    if (fragment(this.pc.currentRemoteDescription) === data.restart && !this.#polite) this.restartIce();
  }

  /**
   * Look for another path, while media goes over the one there is. The polite side asks the other for it:
   * would both offer, one would have to take its offer back.
   */
  restartIce(): void {
    if (!this.#polite) return this.pc.restartIce();
    const restart = fragment(this.pc.currentLocalDescription);
    if (restart === undefined) return this.pc.restartIce();
    void this.#ask(restart);
  }

  /**
   * Send what there is of a kind from now on.
   *
   * @internal
   */
  send(kind: Kind): Promise<void> {
    // In its turn: Chromium 147 ends the page that replaces a track after a rollback and before the answer.
    return this.#negotiation.inTurn(async () => {
      if (this.pc.signalingState === "closed") return;
      const track = this.#options.outgoing.track(kind);
      const transceiver = this.#media.get(kind);
      if (transceiver) await transceiver.sender.replaceTrack(track);
      else if (track) this.#media.set(kind, this.pc.addTransceiver(track, this.#both)); // its offer had none
    });
  }

  /**
   * Say something over the data channel. Returns whether it was open.
   *
   * @internal
   */
  say(data: string | ArrayBuffer): boolean {
    if (this.#channel?.readyState !== "open") return false;
    this.#channel.send(data as string); // TypeScript knows the two signatures only apart
    return true;
  }

  /**
   * From the next search for a path on.
   *
   * @internal
   */
  useIceServers(iceServers: readonly RTCIceServer[]): void {
    this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers: [...iceServers] });
  }

  /**
   * The network may be another: see whether the path still works.
   *
   * @internal
   */
  examine(): void {
    this.#path.examine();
  }

  /** Read how it goes; what was read is `quality`. */
  async measure(): Promise<void> {
    const stats = await this.pc.getStats();
    if (this.state === "closed") return;
    const times = { state: this.state, setupMs: this.#setupMs, firstMediaMs: this.#firstMediaMs };
    this.quality = read(stats.values(), times, this.quality);
    this.#options.measured();
  }

  /** @internal */
  close(): void {
    clearTimeout(this.#decoding);
    clearTimeout(this.#asked);
    this.#negotiation.close();
    this.#path.close();
    this.pc.onconnectionstatechange = null;
    this.pc.ontrack = null;
    if (this.#channel) this.#channel.onmessage = null;
    this.pc.close();
    for (const track of this.stream.getTracks()) {
      track.onunmute = null;
      this.stream.removeTrack(track);
    }
  }

  /** Answer with all that we have, over what the other side offered. */
  async #answer(): Promise<void> {
    const { outgoing } = this.#options;
    const offered = this.pc.getTransceivers().filter(({ mid }) => mid !== null);
    for (const kind of KINDS) {
      const theirs = offered.find(({ receiver }) => receiver.track.kind === kind);
      if (!theirs || this.#media.has(kind)) continue;
      this.#media.set(kind, theirs);
      theirs.direction = "sendrecv";
      theirs.sender.setStreams(outgoing.local);
      await theirs.sender.replaceTrack(outgoing.track(kind));
    }
    this.#openChannel();
  }

  async #ask(restart: string): Promise<void> {
    clearTimeout(this.#asked);
    if (!(await this.#options.send({ restart })) || this.pc.signalingState === "closed") return;
    clearTimeout(this.#asked);
    this.#asked = setTimeout(() => {
      if (fragment(this.pc.currentLocalDescription) === restart) this.pc.restartIce(); // not all understand this
    }, ASKED_MS);
  }

  #openChannel(): void {
    if (this.#channel) return;
    this.#channel = this.pc.createDataChannel(CHANNEL.label, { negotiated: true, id: CHANNEL.id });
    this.#channel.binaryType = "arraybuffer";
    this.#channel.onmessage = ({ data }) => this.#options.data(data as string | ArrayBuffer);
  }

  #moved(): void {
    if (this.state === "connected") this.#setupMs ??= performance.now() - this.#begun;
    this.#options.changed();
  }

  #receive(track: MediaStreamTrack): void {
    this.stream.addTrack(track);
    track.onunmute = () => {
      if (this.#firstMediaMs === undefined && this.#decoding === undefined) void this.#untilDecoded();
      this.#options.changed();
    };
    this.#options.changed();
  }

  /** Packets come: note when the first of them is picture or sound. */
  async #untilDecoded(since = performance.now()): Promise<void> {
    const stats = await this.pc.getStats();
    if (this.state === "closed" || performance.now() - since > DECODED_PATIENCE_MS) return;
    if ([...stats.values()].some(decoded)) {
      this.#firstMediaMs = performance.now() - this.#begun;
      await this.measure();
    } else this.#decoding = setTimeout(() => void this.#untilDecoded(since), DECODED_POLL_MS);
  }
}

function decoded(entry: {
  type: string;
  framesDecoded?: number;
  jitterBufferEmittedCount?: number;
}): boolean {
  if (entry.type !== "inbound-rtp") return false;
  return (entry.framesDecoded ?? 0) > 0 || (entry.jitterBufferEmittedCount ?? 0) > 0;
}
