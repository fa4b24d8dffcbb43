/** Times, and how long ago something was: one clock for all of them, so that a thousand ages cost one timer. */

import { computed, signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { age, fullTime, time } from "../format";

const TICK_MS = 1000;

const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, TICK_MS);

export const Time = ({ iso }: { iso: string }) => (
  <time dateTime={iso} title={fullTime(iso)}>
    {time(iso)}
  </time>
);

/** How long something lasts so far. Its text alone changes as time goes by. */
export function Age({ iso }: { iso: string }) {
  const text = useMemo(() => computed(() => age(iso, now.value)), [iso]);
  return (
    <time dateTime={iso} title={fullTime(iso)}>
      {text}
    </time>
  );
}
