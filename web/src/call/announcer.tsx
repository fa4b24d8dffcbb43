/** What changes without the user's doing is said: to ears at once and in order, to eyes for some seconds. */

import { signal } from "@preact/signals";

interface Saying {
  readonly id: number;
  readonly text: string;
}

const SEEN_MS = 6000;
const REMEMBERED = 6;

export class Announcer {
  /** A screen reader reads what is added. */
  readonly heard = signal<readonly Saying[]>([]);
  readonly seen = signal<Saying | undefined>(undefined);
  #id = 0;
  #hide: ReturnType<typeof setTimeout> | undefined;

  /** For ears: eyes see it where it happens. */
  say(text: string): void {
    this.#id += 1;
    this.heard.value = [...this.heard.value, { id: this.#id, text }].slice(-REMEMBERED);
  }

  /** For ears and eyes. */
  show(text: string): void {
    this.say(text);
    clearTimeout(this.#hide);
    this.seen.value = { id: this.#id, text };
    this.#hide = setTimeout(() => {
      this.seen.value = undefined;
    }, SEEN_MS);
  }
}

export function Announcements({ announcer }: { announcer: Announcer }) {
  return (
    <div class="unseen" role="log" aria-label="What happens in the room" aria-live="polite">
      {announcer.heard.value.map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}

export function Notice({ announcer }: { announcer: Announcer }) {
  const notice = announcer.seen.value;
  if (!notice) return null;
  return (
    <p class="notice" key={notice.id} aria-hidden="true">
      {notice.text}
    </p>
  );
}
