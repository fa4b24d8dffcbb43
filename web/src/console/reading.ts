/**
 * What REST says, read again softly: the old stays on the page until the new is there.
 *
 * However often somebody asks for a refresh, one request is on its way at a time and one a second begins.
 */

import { type Signal, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Problem } from "./api";

type Read<T> = (ending: AbortSignal) => Promise<T>;

const PAUSE_MS = 1000;
const LAG_MS = 1200;

export class Reading<T> {
  readonly value: Signal<T | undefined> = signal<T | undefined>(undefined);
  /** Why the last attempt has failed. */
  readonly problem: Signal<Problem | undefined> = signal<Problem | undefined>(undefined);
  /** Whether the value answers an earlier question than the one that was asked last. */
  readonly stale = signal(true);
  #read: Read<T>;
  #ending: AbortController | undefined;
  #began = 0;
  #again: number | undefined;
  #later: number | undefined;
  #wanted = false;
  #stopped = false;

  constructor(read: Read<T>) {
    this.#read = read;
  }

  /** Ask something else, at once. */
  ask(read: Read<T>): void {
    this.#read = read;
    this.stale.value = true;
    this.#ending?.abort();
    this.#ending = undefined;
    void this.#run();
  }

  refresh(): void {
    if (this.#ending) {
      this.#wanted = true;
      return;
    }
    if (this.#again !== undefined || this.#stopped) return;
    const wait = Math.max(0, this.#began + PAUSE_MS - performance.now());
    this.#again = window.setTimeout(() => void this.#run(), wait);
  }

  /** Something has happened: read now, and once more when it has reached what is read, which lags behind events. */
  follow(): void {
    this.refresh();
    window.clearTimeout(this.#later);
    this.#later = window.setTimeout(() => this.refresh(), LAG_MS);
  }

  stop(): void {
    this.#stopped = true;
    window.clearTimeout(this.#later);
    this.#ending?.abort();
    window.clearTimeout(this.#again);
    this.#again = undefined;
  }

  async #run(): Promise<void> {
    window.clearTimeout(this.#again);
    this.#again = undefined;
    this.#wanted = false;
    this.#stopped = false;
    this.#began = performance.now();
    const ending = new AbortController();
    this.#ending = ending;
    try {
      const value = await this.#read(ending.signal);
      if (ending.signal.aborted) return;
      this.value.value = keeping(this.value.peek(), value);
      this.problem.value = undefined;
      this.stale.value = false;
    } catch (error) {
      if (ending.signal.aborted) return;
      this.problem.value = error instanceof Problem ? error : new Problem(0, "unreadable", String(error));
    }
    this.#ending = undefined;
    if (this.#wanted) this.refresh();
  }
}

/**
 * Return what was read, with what was there before in place of what says the same.
 *
 * So a list that is read each second is drawn again where it has changed, and nowhere else.
 */
function keeping<T>(before: T | undefined, read: T): T {
  if (before === undefined || !isList(before) || !isList(read))
    return same(before, read) ? (before as T) : read;
  const known = new Map(before.items.map((item) => [JSON.stringify(item), item]));
  return { ...read, items: read.items.map((item) => known.get(JSON.stringify(item)) ?? item) };
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);

const isList = (read: unknown): read is { items: readonly unknown[] } =>
  typeof read === "object" && read !== null && "items" in read && Array.isArray(read.items);

/** Read while the component is there, anew whenever `deps` change, and every so often (milliseconds) if said. */
export function useReading<T>(read: Read<T>, deps: readonly unknown[], every?: number): Reading<T> {
  const reading = useMemo(() => new Reading<T>(read), []);
  useEffect(() => {
    reading.ask(read);
  }, [...deps]);
  useEffect(() => () => reading.stop(), [reading]);
  useRegularly(() => reading.refresh(), every);
  return reading;
}

/** Do something every so often while the page is seen, and when it is seen again. */
export function useRegularly(act: () => void, every: number | undefined): void {
  useEffect(() => {
    const seen = () => {
      if (!document.hidden) act();
    };
    document.addEventListener("visibilitychange", seen);
    const timer = every === undefined ? undefined : window.setInterval(seen, every);
    return () => {
      document.removeEventListener("visibilitychange", seen);
      window.clearInterval(timer);
    };
  }, [every]);
}
