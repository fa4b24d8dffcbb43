/**
 * The microphone and the camera of this machine.
 *
 * Each may be denied, absent or in use elsewhere, and the page goes on without it: what
 * is wrong is a sentence that says what to do.
 */

import { computed, signal } from "@preact/signals";
import type { Kind } from "parley-client";
import { Choices, type Role } from "./choices";

type State = { readonly on: boolean; readonly problem?: string };

const KINDS: readonly Kind[] = ["audio", "video"];
const NAMES = { audio: "microphone", video: "camera" } as const;
const ROLES = { audio: "audioinput", video: "videoinput" } as const satisfies Record<Kind, Role>;

export class Devices {
  /** What is sent to the others; the same object for ever, its tracks come and go. */
  readonly stream = new MediaStream();
  readonly choices = new Choices();
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

  /** Open both, or what there is of them; what the user has switched off last stays off. */
  async openAll(): Promise<void> {
    const wanted = KINDS.filter((kind) => !this[kind].value.on && localStorage.getItem(off(kind)) === null);
    if (wanted.length === 0) return this.choices.look();
    this.opening.value = true;
    await this.choices.look();
    try {
      for (const track of await this.#tracks(wanted)) this.#take(track);
    } catch {
      for (const kind of wanted) await this.open(kind); // one that is missing or denied must not cost us the other
    } finally {
      this.opening.value = false;
    }
    await this.choices.look();
    for (const kind of wanted) if (this.#isAnother(kind)) await this.open(kind); // its name was not known before
  }

  /** Whether what is open is not what was chosen, although that is there. */
  #isAnother(kind: Kind): boolean {
    const chosen = this.choices.of(ROLES[kind]);
    const track = this.track(kind);
    return chosen !== "" && track !== undefined && track.getSettings().deviceId !== chosen;
  }

  /** Open one, and return its track if that went well. */
  async open(kind: Kind): Promise<MediaStreamTrack | null> {
    localStorage.removeItem(off(kind));
    try {
      const [track] = await this.#tracks([kind]);
      if (track) this.#take(track);
      return track ?? null;
    } catch (error) {
      this.#drop(kind);
      this[kind].value = { on: false, problem: explain(kind, error) };
      return null;
    }
  }

  /** Close one because the user says so, so that its light goes out. */
  close(kind: Kind): void {
    localStorage.setItem(off(kind), "off");
    this.#drop(kind);
  }

  closeAll(): void {
    for (const kind of KINDS) this.#drop(kind);
  }

  /** The microphone stays open while muted, so that the first word after it is heard. */
  hush(muted: boolean): void {
    for (const track of this.stream.getAudioTracks()) track.enabled = !muted;
    this.audio.value = { ...this.audio.value, on: !muted };
    if (muted) localStorage.setItem(off("audio"), "off");
    else localStorage.removeItem(off("audio"));
  }

  track(kind: Kind): MediaStreamTrack | undefined {
    return this.stream.getTracks().find((track) => track.kind === kind);
  }

  #drop(kind: Kind): void {
    for (const track of this.stream.getTracks()) {
      if (track.kind !== kind) continue;
      track.stop();
      this.stream.removeTrack(track);
    }
    this[kind].value = { on: false };
  }

  #take(track: MediaStreamTrack): void {
    const kind = track.kind as Kind;
    this.#drop(kind);
    this.stream.addTrack(track);
    this[kind].value = { on: true };
    track.addEventListener("ended", () => {
      if (!this.stream.getTracks().includes(track)) return;
      this.#drop(kind);
      this[kind].value = {
        on: false,
        problem: `The ${NAMES[kind]} was unplugged or taken away. Switch it on again.`,
      };
    });
  }

  async #tracks(kinds: readonly Kind[]): Promise<MediaStreamTrack[]> {
    if (!navigator.mediaDevices) throw new DOMException("no secure context", "SecurityError");
    const wanted = (kind: Kind): MediaTrackConstraints => {
      const id = this.choices.of(ROLES[kind]);
      return id ? { deviceId: { ideal: id } } : {}; // not "exact": it may be unplugged today
    };
    const stream = await navigator.mediaDevices.getUserMedia({
      ...(kinds.includes("audio")
        ? { audio: { echoCancellation: true, noiseSuppression: true, ...wanted("audio") } }
        : {}),
      ...(kinds.includes("video")
        ? { video: { width: { ideal: 1280 }, height: { ideal: 720 }, ...wanted("video") } }
        : {}),
    });
    return stream.getTracks();
  }
}

function off(kind: Kind): string {
  return `parley.${kind}`;
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
