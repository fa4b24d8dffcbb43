/**
 * Which camera, microphone and speaker are there, and which of them the user chose.
 *
 * Choices are remembered on this machine. A device that is not plugged in any more is
 * forgotten only when another one is chosen.
 */

import { computed, signal } from "@preact/signals";

export type Role = "audioinput" | "videoinput" | "audiooutput";

export interface Device {
  readonly id: string;
  readonly label: string;
}

const ROLES: readonly Role[] = ["audioinput", "videoinput", "audiooutput"];
const NAMES = { audioinput: "Microphone", videoinput: "Camera", audiooutput: "Speaker" } as const;

/** The browser's name of whatever the system uses; we say it ourselves, by choosing nothing. */
const SYSTEM_DEFAULT = ["default", "communications"];

/** Whether the browser lets a page choose where sound comes out. */
export const CAN_CHOOSE_SPEAKER = "setSinkId" in HTMLMediaElement.prototype;

export class Choices {
  readonly #present = signal<readonly MediaDeviceInfo[]>([]);
  readonly #chosen = {
    audioinput: signal(remembered("audioinput")),
    videoinput: signal(remembered("videoinput")),
    audiooutput: signal(remembered("audiooutput")),
  };
  readonly lists = computed(() => {
    const lists: Record<Role, Device[]> = { audioinput: [], videoinput: [], audiooutput: [] };
    for (const { deviceId: id, kind, label } of this.#present.value) {
      if (!ROLES.includes(kind) || id === "" || SYSTEM_DEFAULT.includes(id)) continue;
      lists[kind].push({ id, label: label || `${NAMES[kind]} ${lists[kind].length + 1}` });
    }
    return lists;
  });

  constructor() {
    navigator.mediaDevices?.addEventListener("devicechange", () => void this.look());
  }

  /** See what is there. Names are told only once the user has allowed a device. */
  async look(): Promise<void> {
    this.#present.value = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  }

  /** The id of what was chosen; empty for whatever the system uses. */
  of(role: Role): string {
    return this.#chosen[role].value;
  }

  choose(role: Role, id: string): void {
    this.#chosen[role].value = id;
    localStorage.setItem(`parley.${role}`, id);
  }
}

function remembered(role: Role): string {
  return localStorage.getItem(`parley.${role}`) ?? "";
}
