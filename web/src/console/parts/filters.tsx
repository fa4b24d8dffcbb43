/** What a list is searched for. It stands in the address, so a reload and a colleague see the same. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { parameters, remember } from "../router";

const TYPING_MS = 250;

/** Return what the address says of a filter. */
export const filter = (name: string): string => parameters.value.get(name) ?? "";

export const Filters = ({ children }: { children: ComponentChildren }) => (
  <search class="filters">{children}</search>
);

/** A text to search for. It counts once the typing pauses. */
export function TextFilter({ name, label, hint }: { name: string; label: string; hint: string }) {
  const there = filter(name);
  const [text, write] = useState(there);
  useEffect(() => write(there), [there]);
  useEffect(() => {
    if (text === there) return undefined;
    const timer = setTimeout(() => remember(name, text), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <label class="filter filter-text">
      <span>{label}</span>
      <input
        type="search"
        name={name}
        value={text}
        placeholder={hint}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => write(event.currentTarget.value)}
      />
    </label>
  );
}

interface ChoiceProps {
  readonly name: string;
  readonly label: string;
  /** Value and words; the first is what holds when nothing is said. */
  readonly of: readonly (readonly [string, string])[];
}

export function Choice({ name, label, of }: ChoiceProps) {
  const [usual] = of[0] ?? [""];
  const value = filter(name) || usual;
  return (
    <label class="filter">
      <span>{label}</span>
      <select
        name={name}
        value={value}
        onChange={({ currentTarget }) =>
          remember(name, currentTarget.value === usual ? "" : currentTarget.value)
        }
      >
        {of.map(([key, words]) => (
          <option key={key} value={key} selected={key === value}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Spans to look back on, in hours. */
const SPANS: Readonly<Record<string, number>> = { "1h": 1, "24h": 24, "7d": 168, "30d": 720 };

export const SPAN_WORDS: ChoiceProps["of"] = [
  ["", "Any time"],
  ["1h", "Last hour"],
  ["24h", "Last 24 hours"],
  ["7d", "Last 7 days"],
  ["30d", "Last 30 days"],
];

/** Return the time from which a span counts, to the minute, so that the same question is asked again the same way. */
export function since(span: string): string | undefined {
  const hours = SPANS[span];
  if (hours === undefined) return undefined;
  const minute = 60_000;
  return new Date(Math.floor(Date.now() / minute) * minute - hours * 60 * minute).toISOString();
}
