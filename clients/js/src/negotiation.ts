/**
 * Perfect negotiation, as the W3C describes it, for one peer connection.
 *
 * Either side may start at any time. When both do, the impolite one ignores the other's
 * offer and the polite one takes its own back. Who is polite the server says.
 *
 * Beyond the W3C's: an offer that nobody answers is said again, as the signal may have got
 * lost; and who hears that the other side has begun anew, with another peer connection, says so.
 */

/** What goes from peer to peer through `signal`. */
export type SignalData =
  | { readonly description: RTCSessionDescriptionInit }
  | { readonly candidate: RTCIceCandidateInit };

export function isSignalData(data: unknown): data is SignalData {
  return typeof data === "object" && data !== null && ("description" in data || "candidate" in data);
}

/** The fragment by which candidates name a description, and the sides of a path each other. */
export function fragment(description: RTCSessionDescriptionInit | null): string | undefined {
  return /^a=ice-ufrag:(\S+)/m.exec(description?.sdp ?? "")?.[1];
}

export interface NegotiationOptions {
  readonly polite: boolean;
  readonly send: (data: SignalData) => void;
  /** An offer was taken: say with what it is answered, before it is. */
  readonly answering?: () => Promise<unknown> | undefined;
  /** This peer connection is of no use any more: make another one, for this and for what is still to come, or to offer. */
  readonly beginAnew?: (data?: SignalData) => void;
  /** Our own offer could not be made. */
  readonly trouble?: (error: unknown) => void;
}

/** How long to wait for an answer before the offer is said again; twice as long each time. */
const UNANSWERED_MS = 8000;
const MOST_REPEATS = 3;

export class Negotiation {
  readonly #pc: RTCPeerConnection;
  readonly #options: NegotiationOptions;
  #makingOffer = false;
  #ignoringOffer = false;
  #settingAnswer = false;
  #replaced = false;
  /** Which peer connection of the other side this one speaks with, by the session's id in its descriptions. */
  #session: string | undefined;
  /** What was signalled is worked off in its order, one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #repeat: ReturnType<typeof setTimeout> | undefined;

  constructor(pc: RTCPeerConnection, options: NegotiationOptions) {
    this.#pc = pc;
    this.#options = options;
    pc.onnegotiationneeded = () => this.#offer();
    pc.onicecandidate = ({ candidate }) => {
      if (candidate) options.send({ candidate: candidate.toJSON() });
    };
  }

  /** Do what the other side's signal asks for. */
  receive(data: SignalData): Promise<void> {
    return this.inTurn(() => this.#take(data));
  }

  /** Do something when nothing that was signalled is half done. */
  inTurn(act: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => {});
    return done;
  }

  /** To be called with the peer connection's own end. */
  close(): void {
    clearTimeout(this.#repeat);
    this.#pc.onnegotiationneeded = null;
    this.#pc.onicecandidate = null;
  }

  get #closed(): boolean {
    return this.#pc.signalingState === "closed";
  }

  async #offer(): Promise<void> {
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      this.#say(UNANSWERED_MS);
    } catch (error) {
      if (!this.#closed) this.#options.trouble?.(error);
    } finally {
      this.#makingOffer = false;
    }
  }

  /** Say our description; if it is an offer, say it again while it is not answered. */
  #say(patience: number, repeats = MOST_REPEATS): void {
    const { localDescription } = this.#pc;
    if (!localDescription || this.#closed) return;
    this.#options.send({ description: localDescription.toJSON() });
    clearTimeout(this.#repeat);
    if (localDescription.type !== "offer" || repeats === 0) return;
    this.#repeat = setTimeout(() => {
      if (this.#pc.signalingState === "have-local-offer") this.#say(2 * patience, repeats - 1);
    }, patience);
  }

  async #take(data: SignalData): Promise<void> {
    if (this.#replaced) return this.#options.beginAnew?.(data);
    if (this.#closed) return;
    if ("description" in data) return this.#described(data.description);
    if (!this.#pc.remoteDescription) return; // it belongs to one that was let go
    try {
      await this.#pc.addIceCandidate(data.candidate);
    } catch (error) {
      // of an offer that we have not taken we can't use the candidates
      if (!this.#ignoringOffer && !this.#closed) throw error;
    }
  }

  async #described(description: RTCSessionDescriptionInit): Promise<void> {
    const ready = !this.#makingOffer && (this.#pc.signalingState === "stable" || this.#settingAnswer);
    this.#ignoringOffer = !this.#options.polite && description.type === "offer" && !ready;
    if (this.#ignoringOffer) return;
    const session = sessionOf(description);
    const offering = this.#makingOffer || this.#pc.signalingState === "have-local-offer";
    const tookBack = offering && description.type === "offer";
    const another = this.#session !== undefined && session !== undefined && session !== this.#session;
    // Nothing was agreed on yet: what we have offered is better forgotten than taken back, with all that it holds.
    const first = tookBack && !this.#pc.currentRemoteDescription;
    if (another || first) {
      this.#replaced = true;
      return this.#options.beginAnew?.({ description });
    }
    // the answer to an offer that was said twice comes twice
    if (description.type === "answer" && this.#pc.signalingState === "stable") return;

    this.#settingAnswer = description.type === "answer";
    try {
      await this.#pc.setRemoteDescription(description);
      this.#session = session;
    } finally {
      this.#settingAnswer = false;
    }
    if (description.type !== "offer" || this.#closed) return;
    await this.#options.answering?.();
    await this.#pc.setLocalDescription();
    this.#say(0);
    // Chromium 147 loses what goes over transceivers of our own making when an offer is taken back in mid-call.
    if (tookBack) this.#options.beginAnew?.();
  }
}

/** The id in a description's origin: another one is another peer connection. */
function sessionOf({ sdp }: RTCSessionDescriptionInit): string | undefined {
  return /^o=\S+ (\S+)/m.exec(sdp ?? "")?.[1];
}
