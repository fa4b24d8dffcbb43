/**
 * The microphone and the camera of this machine.
 *
 * Each may be denied, absent or in use elsewhere, and the page goes on without it: what
 * is wrong is a sentence that says what to do.
 */

import { computed, signal } from "@preact/signals";
import type { Kind } from "parley-client";

type State = { readonly on: boolean; readonly problem?: string };

const KINDS: readonly Kind[] = ["audio", "video"];
const NAMES = { audio: "microphone", video: "camera" } as const;

export class Devices {
  /** What is sent to the others; the same object for ever, its tracks come and go. */
  readonly stream = new MediaStream();
  readonly audio = signal<State>({ on: false });
  readonly video = signal<State>({ on: false });
  /** Whether the browser is asking the user, or opening a device. */
  readonly opening = signal(false);
  /** Nothing can be sent: there is chat. */
  readonly useless = computed(() => Boolean(this.audio.value.problem && this.video.value.problem));
  readonly problems = computed(() => {
    const problems = [this.audio.value.problem, this.video.value.problem];
    return [...new Set(problems.filter((problem) => problem !== undefined))];
  });

  /** Open both, or what there is of them. */
  async openAll(): Promise<void> {
    this.opening.value = true;
    try {
      for (const track of await tracks(KINDS)) this.#take(track);
    } catch {
      await this.open("audio"); // one that is missing or denied must not cost us the other
      await this.open("video");
    } finally {
      this.opening.value = false;
    }
  }

  /** Open one, and return its track if that went well. */
  async open(kind: Kind): Promise<MediaStreamTrack | null> {
    try {
      const [track] = await tracks([kind]);
      if (track) this.#take(track);
      return track ?? null;
    } catch (error) {
      this[kind].value = { on: false, problem: explain(kind, error) };
      return null;
    }
  }

  /** Close one, so that its light goes out. */
  close(kind: Kind): void {
    for (const track of this.stream.getTracks()) {
      if (track.kind !== kind) continue;
      track.stop();
      this.stream.removeTrack(track);
    }
    this[kind].value = { on: false };
  }

  closeAll(): void {
    for (const kind of KINDS) this.close(kind);
  }

  #take(track: MediaStreamTrack): void {
    const kind = track.kind as Kind;
    this.close(kind);
    this.stream.addTrack(track);
    this[kind].value = { on: true };
    track.addEventListener("ended", () => {
      this.close(kind);
      this[kind].value = {
        on: false,
        problem: `The ${NAMES[kind]} was unplugged or taken away. Switch it on again.`,
      };
    });
  }
}

async function tracks(kinds: readonly Kind[]): Promise<MediaStreamTrack[]> {
  if (!navigator.mediaDevices) throw new DOMException("no secure context", "SecurityError");
  const stream = await navigator.mediaDevices.getUserMedia({
    ...(kinds.includes("audio") ? { audio: { echoCancellation: true, noiseSuppression: true } } : {}),
    ...(kinds.includes("video") ? { video: { width: { ideal: 1280 }, height: { ideal: 720 } } } : {}),
  });
  return stream.getTracks();
}

function explain(kind: Kind, error: unknown): string {
  const device = NAMES[kind];
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
      return `The ${device} is blocked for this page. Allow it beside the address to be ${heard(kind)}.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return `No ${device} was found. Plug one in to be ${heard(kind)}.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${device} is in use by another program. Close that program and switch the ${device} on again.`;
    case "SecurityError":
      return "Browsers offer a microphone and a camera only on https:// addresses. Open this page on one.";
    default:
      return `The ${device} could not be opened. Switch it on again.`;
  }
}

function heard(kind: Kind): string {
  return kind === "audio" ? "heard" : "seen";
}
