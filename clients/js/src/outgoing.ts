/** What this side sends to everybody: microphone, and camera or screen. */

export type Kind = "audio" | "video";
export const KINDS: readonly Kind[] = ["audio", "video"];

export class Outgoing {
  /** Microphone and camera. The same object for as long as the call lasts. */
  readonly local: MediaStream;
  /** What is shown instead of the camera. */
  screen: MediaStreamTrack | undefined;
  readonly #muted = new Set<Kind>();

  constructor(local: MediaStream) {
    this.local = local;
  }

  /** What goes out now. */
  track(kind: Kind): MediaStreamTrack | null {
    if (kind === "video" && this.screen) return this.screen;
    return this.#muted.has(kind) ? null : (this.#source(kind) ?? null);
  }

  /** Take another microphone or camera, or none. */
  take(kind: Kind, track: MediaStreamTrack | null): void {
    for (const old of this.local.getTracks()) {
      if (old.kind === kind && old !== track) this.local.removeTrack(old);
    }
    if (track) this.local.addTrack(track);
  }

  mute(kind: Kind, muted: boolean): void {
    if (muted) this.#muted.add(kind);
    else this.#muted.delete(kind);
  }

  /** Whether the microphone or the camera is silent, also as there is none. */
  muted(kind: Kind): boolean {
    return this.#muted.has(kind) || !this.#source(kind);
  }

  /** The same as metadata, for the others. */
  metadata(): { audio: "on" | "off"; video: "on" | "off"; screen: "on" | "off" } {
    const word = (on: boolean) => (on ? "on" : "off");
    return {
      audio: word(!this.muted("audio")),
      video: word(!this.muted("video")),
      screen: word(this.screen !== undefined),
    };
  }

  #source(kind: Kind): MediaStreamTrack | undefined {
    return this.local.getTracks().find((track) => track.kind === kind);
  }
}
