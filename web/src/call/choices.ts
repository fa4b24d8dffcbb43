/**
 * Which camera, microphone and speaker are there, and which of them the user chose.
 *
 * Choices are remembered on this machine, by name, too: private windows and some browsers
 * give a device another id each time. One that is not plugged in is not forgotten.
 */

import { computed, signal } from "@preact/signals";

export type Role = "audioinput" | "videoinput" | "audiooutput";

export interface Device {
  readonly id: string;
  readonly label: string;
}

const ROLES: readonly Role[] = ["audioinput", "videoinput", "audiooutput"];
const NAMES = { audioinput: "Microphone", videoinput: "Camera", audiooutput: "Speaker" } as const;

const NONE: Device = { id: "", label: "" };

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

  /** The id of what was chosen, as far as it is there; empty for whatever the system uses. */
  of(role: Role): string {
    const chosen = this.#chosen[role].value;
    const list = this.lists.value[role];
    const found = list.find(({ id }) => id === chosen.id) ?? list.find(({ label }) => label === chosen.label);
    return found?.id ?? "";
  }

  /** Choose one of the list, or with an empty id whatever the system uses. */
  choose(role: Role, id: string): void {
    const device = this.lists.value[role].find((candidate) => candidate.id === id) ?? NONE;
    this.#chosen[role].value = device;
    localStorage.setItem(`parley.${role}`, JSON.stringify(device));
  }
}

function remembered(role: Role): Device {
  try {
    const { id, label } = JSON.parse(localStorage.getItem(`parley.${role}`) ?? "{}");
    return typeof id === "string" && typeof label === "string" ? { id, label } : NONE;
  } catch {
    return NONE; // of another program at this address
  }
}
