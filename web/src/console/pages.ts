/** A list of any length, of which the page holds one part: forwards by the cursors that REST gives, back by those kept. */

import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Listed } from "./answers";
import type { Query } from "./api";
import { Reading, useRegularly } from "./reading";

type List<T> = (query: Query, ending: AbortSignal) => Promise<Listed<T>>;

export const PAGE = 100;

export class Pages<T> {
  readonly reading: Reading<Listed<T>>;
  readonly #list: List<T>;
  readonly #trail = signal<readonly string[]>([]);
  #query: Query = {};

  constructor(list: List<T>) {
    this.#list = list;
    this.reading = new Reading((ending) => this.#part(ending));
  }

  /** How many parts lie before this one. */
  get before(): number {
    return this.#trail.value.length;
  }

  /** Ask for the first part of another list. */
  ask(query: Query): void {
    this.#query = query;
    this.#go([]);
  }

  forwards(): void {
    const next = this.reading.value.value?.next;
    if (next) this.#go([...this.#trail.value, next]);
  }

  backwards(): void {
    this.#go(this.#trail.value.slice(0, -1));
  }

  #go(trail: readonly string[]): void {
    this.#trail.value = trail;
    this.reading.ask((ending) => this.#part(ending));
  }

  #part(ending: AbortSignal): Promise<Listed<T>> {
    return this.#list({ ...this.#query, limit: PAGE, cursor: this.#trail.peek().at(-1) }, ending);
  }
}

/** Hold a list while the component is there, from its beginning whenever the query changes. */
export function usePages<T>(list: List<T>, query: Query, every: number): Pages<T> {
  const pages = useMemo(() => new Pages(list), []);
  useEffect(() => pages.ask(query), [JSON.stringify(query)]);
  useEffect(() => () => pages.reading.stop(), [pages]);
  useRegularly(() => pages.reading.refresh(), every);
  return pages;
}
