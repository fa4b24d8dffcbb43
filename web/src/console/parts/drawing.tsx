/** The picture of numbers over time: marks, and lines or bars. */

import { marks, moments, type Unit } from "./scale";

export interface Series {
  readonly name: string;
  /** A value for each time; null where nothing is known. */
  readonly values: readonly (number | null)[];
}

export const HEIGHT = 180;
const MARGIN = { left: 66, right: 12, top: 10, bottom: 24 };
/** What stands alone: no line leads to it. */
const RING = "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0";
const HOURS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAYS = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

interface DrawingProps {
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly unit: Unit | "bytes";
  readonly as: "lines" | "bars";
  readonly width: number;
  readonly format: (value: number) => string;
  readonly pointed: number | undefined;
}

export function Drawing({ times, series, unit, as, width, format, pointed }: DrawingProps) {
  const most = Math.max(0, ...series.flatMap(({ values }) => values.map((value) => value ?? 0)));
  const levels = marks(most, 4, unit === "bytes" ? "number" : unit);
  const top = levels.at(-1) || 1;
  const [from, to] = [times[0] ?? 0, times.at(-1) ?? 0];
  const x = (time: number) => place(time, from, to, width, as === "bars" ? times.length : 0);
  const y = (value: number) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const ticks = moments(from, to, Math.max(2, Math.floor(width / 90)));
  const words = to - from > 36 * 3_600_000 ? DAYS : to - from < 5 * 60_000 ? SECONDS : HOURS;
  const slot = (width - MARGIN.left - MARGIN.right) / Math.max(1, times.length);
  return (
    <>
      {levels.map((level) => (
        <g key={level} class="level">
          <path d={`M${MARGIN.left} ${y(level)}H${width - MARGIN.right}`} />
          <text x={MARGIN.left - 8} y={y(level) + 4} text-anchor="end">
            {format(level)}
          </text>
        </g>
      ))}
      {ticks.map((tick) => (
        <text key={tick} class="tick" x={x(tick)} y={HEIGHT - 6} text-anchor="middle">
          {words.format(tick)}
        </text>
      ))}
      {pointed !== undefined && (
        <path class="pointed" d={`M${x(times[pointed] ?? 0)} ${MARGIN.top}V${HEIGHT - MARGIN.bottom}`} />
      )}
      {series.map(({ name, values }, n) => (
        <path
          key={name}
          class={`line line-${n} ${as}`}
          d={as === "bars" ? bars(times, values, x, y, slot, n, series.length) : line(times, values, x, y)}
        />
      ))}
    </>
  );
}

/** A line that breaks where nothing is known; what stands alone is a ring. */
function line(
  times: readonly number[],
  values: readonly (number | null)[],
  x: (time: number) => number,
  y: (value: number) => number,
): string {
  let drawn = "";
  let down = false;
  values.forEach((value, at) => {
    const time = times[at];
    if (value === null || time === undefined) {
      down = false;
      return;
    }
    const alone = !down && (values[at + 1] ?? null) === null;
    drawn += `${down ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}${alone ? RING : ""}`;
    down = true;
  });
  return drawn;
}

function bars(
  times: readonly number[],
  values: readonly (number | null)[],
  x: (time: number) => number,
  y: (value: number) => number,
  slot: number,
  n: number,
  of: number,
): string {
  const thick = Math.max(1, Math.min(28, (slot * 0.72) / of));
  return values
    .map((value, at) => {
      const time = times[at];
      if (!value || time === undefined) return "";
      const left = x(time) - (thick * of) / 2 + n * thick;
      return `M${left.toFixed(1)} ${y(0).toFixed(1)}V${y(value).toFixed(1)}h${thick.toFixed(1)}V${y(0).toFixed(1)}z`;
    })
    .join("");
}

/** Return where a time is; with slots, each time has one of them and stands in its middle. */
function place(time: number, from: number, to: number, width: number, slots: number): number {
  const room = width - MARGIN.left - MARGIN.right;
  const half = slots > 0 ? room / slots / 2 : 0;
  const share = to > from ? (time - from) / (to - from) : 0.5;
  return MARGIN.left + half + share * (room - 2 * half);
}

/** Return which time is nearest to a place in the picture. */
export function nearest(times: readonly number[], offset: number, width: number): number {
  const [from, to] = [times[0] ?? 0, times.at(-1) ?? 0];
  const wanted = from + ((offset - MARGIN.left) / (width - MARGIN.left - MARGIN.right)) * (to - from);
  let best = 0;
  times.forEach((time, at) => {
    if (Math.abs(time - wanted) < Math.abs((times[best] ?? 0) - wanted)) best = at;
  });
  return best;
}
