/** What single keys do during a call, and their list. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Dialog } from "../shared/dialog";

const STORED = "parley.shortcuts";

/** Who dictates, or whose hands tremble, switches single keys off. */
const enabled = signal(localStorage.getItem(STORED) !== "off");

export type Actions = Readonly<Record<Key, () => void>>;
export type Key = keyof typeof MEANINGS;

const MEANINGS = {
  m: "Microphone on or off",
  v: "Camera on or off",
  s: "Share the screen, or stop it",
  c: "Chat",
  p: "People",
  d: "Camera, microphone, speaker",
  "?": "These shortcuts",
} as const;

/** Let keys act, except where something is typed or a dialog is open. */
export function useShortcuts(actions: Actions): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || event.defaultPrevented) return;
      if (typing(event.target) || document.querySelector("dialog[open]")) return;
      const key = event.key.toLowerCase();
      if (!isKey(key) || !(enabled.value || key === "?")) return;
      event.preventDefault();
      actions[key]();
    };
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  });
}

export function Shortcuts({ close }: { close: () => void }) {
  const toggle = () => {
    enabled.value = !enabled.value;
    localStorage.setItem(STORED, enabled.value ? "on" : "off");
  };
  return (
    <Dialog title="Keyboard shortcuts" close={close} closeLabel="Close">
      <dl class="keys">
        {Object.entries(MEANINGS).map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key.toUpperCase()}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>Esc</kbd>
          </dt>
          <dd>Close chat, people or a dialog</dd>
        </div>
      </dl>
      <label class="check">
        <input type="checkbox" checked={enabled.value} onChange={toggle} />
        <span>Single keys act</span>
      </label>
    </Dialog>
  );
}

function isKey(key: string): key is Key {
  return Object.hasOwn(MEANINGS, key);
}

function typing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input:not([type=checkbox]), textarea, select");
}
