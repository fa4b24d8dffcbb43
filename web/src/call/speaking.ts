/** Who speaks just now. A pause between two words is no silence. */

import { signal } from "@preact/signals";
import type { Call } from "parley-client";
import type { Devices } from "./devices";
import { loudness, type Meter, meter } from "./meter";

const EVERY_MS = 200;
const LOUD = 0.4;
const PAUSE_MS = 900;

export const OWN = "own";

export class Speaking {
  /** Connection ids, and `OWN`. */
  readonly now = signal<ReadonlySet<string>>(new Set());
  readonly #devices: Devices;
  readonly #last = new Map<string, number>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #own: { readonly track: MediaStreamTrack; readonly meter: Meter } | undefined;

  constructor(devices: Devices) {
    this.#devices = devices;
  }

  follow(call: Call): void {
    this.end();
    this.#timer = setInterval(() => this.#listen(call), EVERY_MS);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#own?.meter.close();
    this.#own = undefined;
    this.#last.clear();
    this.now.value = new Set();
  }

  #listen(call: Call): void {
    const at = performance.now();
    if (this.#devices.audio.value.on && this.#ownLevel() > LOUD) this.#last.set(OWN, at);
    for (const [id, peer] of call.peers) if (loudness(peer.audioLevel()) > LOUD) this.#last.set(id, at);
    const speaking = [...this.#last].filter(([, heard]) => at - heard < PAUSE_MS).map(([id]) => id);
    const before = this.now.value;
    if (speaking.length !== before.size || speaking.some((id) => !before.has(id)))
      this.now.value = new Set(speaking);
  }

  #ownLevel(): number {
    const track = this.#devices.track("audio");
    if (this.#own?.track !== track) {
      this.#own?.meter.close();
      this.#own = track && { track, meter: meter(track) };
    }
    return this.#own?.meter.level() ?? 0;
  }
}
