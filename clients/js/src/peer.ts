/** One remote member of a call: the peer connection to it, and what it sends. */

import { negotiate, type SignalData } from "./negotiation.js";

export type Kind = "audio" | "video";
export const KINDS: readonly Kind[] = ["audio", "video"];

export interface PeerOptions {
  readonly connectionId: string;
  readonly polite: boolean;
  readonly iceServers: readonly RTCIceServer[];
  readonly local: MediaStream;
  readonly send: (data: SignalData) => void;
  /** The stream has other tracks, or the connection is in another state. */
  readonly changed: () => void;
}

export class Peer {
  readonly connectionId: string;
  readonly pc: RTCPeerConnection;
  /** What the member sends; the same object for as long as the peer lasts. */
  readonly stream = new MediaStream();
  readonly #local: MediaStream;
  readonly #signalled: (data: SignalData) => Promise<void>;

  constructor({ connectionId, polite, iceServers, local, send, changed }: PeerOptions) {
    this.connectionId = connectionId;
    this.#local = local;
    this.pc = new RTCPeerConnection({ iceServers: [...iceServers] });
    this.#signalled = negotiate(this.pc, polite, send);
    for (const track of local.getTracks()) this.pc.addTrack(track, local);
    this.pc.addEventListener("connectionstatechange", changed);
    this.pc.addEventListener("track", ({ track }) => {
      this.stream.addTrack(track);
      changed();
    });
  }

  /** `connected` once media can flow. */
  get state(): RTCPeerConnectionState {
    return this.pc.connectionState;
  }

  /** Make an offer that can carry everything, also what this side does not send itself. */
  offer(): void {
    const sent = this.pc.getSenders().map((sender) => sender.track?.kind);
    for (const kind of KINDS) {
      if (!sent.includes(kind)) this.pc.addTransceiver(kind, { direction: "recvonly" });
    }
  }

  receive(data: SignalData): Promise<void> {
    return this.#signalled(data);
  }

  /** Send this track from now on, or nothing of its kind. Negotiates only if the kind was never sent before. */
  async setTrack(kind: Kind, track: MediaStreamTrack | null): Promise<void> {
    const transceiver = this.pc.getTransceivers().find(({ receiver }) => receiver.track.kind === kind);
    if (!transceiver) {
      if (track) this.pc.addTrack(track, this.#local);
      return;
    }
    await transceiver.sender.replaceTrack(track);
    if (track && transceiver.direction === "recvonly") {
      transceiver.sender.setStreams(this.#local);
      transceiver.direction = "sendrecv";
    }
  }

  close(): void {
    this.pc.close();
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
  }
}
