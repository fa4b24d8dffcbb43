/** Events as they happen, the latest first. Whoever reads one can hold them still. */

import { type Signal, signal } from "@preact/signals";
import { useMemo, useState } from "preact/hooks";
import type { PublicEvent } from "../answers";
import type { Query } from "../api";
import { toneOf, wordsOf } from "../event-words";
import { useLive } from "../live";
import { learnFrom } from "../names";
import { Time } from "./clock";
import { LiveState } from "./live-state";
import { Section } from "./words";

const KEPT = 300;

/** All that happens but for measurements, which come all the time; a call's page draws those. */
export const HAPPENINGS = [
  "connection.*",
  "presence.*",
  "room.*",
  "message.*",
  "call.started",
  "call.ended",
  "negotiation.*",
  "event.*",
];

/** The latest events, once each. */
class Happened {
  readonly shown: Signal<readonly PublicEvent[]> = signal<readonly PublicEvent[]>([]);
  readonly held = signal(0);
  readonly paused = signal(false);
  readonly #kept: number;
  readonly #known = new Set<string>();
  #all: readonly PublicEvent[] = [];

  constructor(kept: number) {
    this.#kept = kept;
  }

  take(events: readonly PublicEvent[]): void {
    events.forEach(learnFrom);
    const fresh = events.filter(({ id }) => !this.#known.has(id) && this.#known.add(id));
    this.#all = [...fresh.reverse(), ...this.#all].slice(0, this.#kept);
    if (this.#known.size > 4 * this.#kept) {
      this.#known.clear();
      for (const { id } of this.#all) this.#known.add(id);
    }
    if (this.paused.value) this.held.value += fresh.length;
    else this.shown.value = this.#all;
  }

  turn(): void {
    this.paused.value = !this.paused.value;
    this.held.value = 0;
    if (!this.paused.value) this.shown.value = this.#all;
  }
}

interface TimelineProps {
  readonly title: string;
  readonly query: Query;
  readonly types?: readonly string[];
  readonly kept?: number;
  readonly none: string;
  /** Is told as well. */
  readonly onEvents?: (events: readonly PublicEvent[]) => void;
}

export function Timeline({ title, query, types = [], kept = KEPT, none, onEvents }: TimelineProps) {
  const happened = useMemo(() => new Happened(kept), []);
  const state = useLive(query, types, (events) => {
    happened.take(events);
    onEvents?.(events);
  });
  const shown = happened.shown.value;
  return (
    <Section
      title={title}
      aside={
        <div class="section-aside">
          <LiveState of={state} />
          <button
            type="button"
            class="button"
            aria-pressed={happened.paused.value}
            onClick={() => happened.turn()}
          >
            {happened.paused.value
              ? `Go on${happened.held.value > 0 ? ` (${happened.held.value} new)` : ""}`
              : "Hold still"}
          </button>
        </div>
      }
    >
      {shown.length === 0 ? (
        <p class="none">{none}</p>
      ) : (
        <ol class="timeline">
          {shown.map((event) => (
            <Line key={event.id} event={event} />
          ))}
        </ol>
      )}
    </Section>
  );
}

/** An event never changes: what was drawn of it once stays, however many come after it. */
function Line({ event }: { event: PublicEvent }) {
  const [open, turn] = useState(false);
  return useMemo(
    () => (
      <li class={`event event-${toneOf(event)}`} data-type={event.type}>
        <Time iso={event.time} />
        <p>{wordsOf(event)}</p>
        <details onToggle={({ currentTarget }) => turn(currentTarget.open)}>
          <summary>
            <code>{event.type}</code>
          </summary>
          {open && <pre>{JSON.stringify(event.data, null, 2)}</pre>}
        </details>
      </li>
    ),
    [event, open],
  );
}
