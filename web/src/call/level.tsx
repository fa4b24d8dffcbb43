/** How loud one's own microphone is, as a bar. */

import { useEffect, useRef } from "preact/hooks";
import type { Devices } from "./devices";
import { meter } from "./meter";

const EVERY_MS = 100;

export function Level({ devices }: { devices: Devices }) {
  const bar = useRef<HTMLMeterElement>(null);
  const { on } = devices.audio.value;
  const track = on ? devices.track("audio") : undefined;

  useEffect(() => {
    if (!track) return;
    const ear = meter(track);
    const timer = setInterval(() => {
      if (bar.current) bar.current.value = ear.level();
    }, EVERY_MS);
    return () => {
      clearInterval(timer);
      ear.close();
      if (bar.current) bar.current.value = 0;
    };
  }, [track]);

  return <meter ref={bar} class="level" aria-label="Level of your microphone" value={0} />;
}
