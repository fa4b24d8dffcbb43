/** The picture of numbers over time: marks, and lines or bars. */

import type { Plot, Series } from "./plot";
import { moments } from "./scale";

/** What stands alone: no line leads to it. */
const RING = "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0";
const WIDEST_BAR = 28;
const BARS_SHARE = 0.72;
/** How much room a time takes below the picture. */
const TIME_WIDTH = 90;

const HOURS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const SECONDS = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAYS = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

interface DrawingProps {
  readonly plot: Plot;
  readonly series: readonly Series[];
  readonly as: "lines" | "bars";
  readonly format: (value: number) => string;
  /** Which time is pointed at. */
  readonly pointed: number | undefined;
}

export function Drawing({ plot, series, as, format, pointed }: DrawingProps) {
  const { from, to, left, right, top, bottom, height, width } = plot;
  const words = to - from > 36 * 3_600_000 ? DAYS : to - from < 5 * 60_000 ? SECONDS : HOURS;
  return (
    <>
      {plot.levels.map((level) => (
        <g key={level} class="level">
          <path d={`M${left} ${plot.y(level)}H${right}`} />
          <text x={left - 8} y={plot.y(level) + 4} text-anchor="end">
            {format(level)}
          </text>
        </g>
      ))}
      {moments(from, to, Math.max(2, Math.floor(width / TIME_WIDTH))).map((time) => (
        <text key={time} class="tick" x={plot.x(time)} y={height - 6} text-anchor="middle">
          {words.format(time)}
        </text>
      ))}
      {pointed !== undefined && (
        <path class="pointed" d={`M${plot.x(plot.times[pointed] ?? 0)} ${top}V${bottom}`} />
      )}
      {series.map(({ name, values }, n) => (
        <path
          key={name}
          class={`line line-${n} ${as}`}
          d={as === "bars" ? bars(plot, values, n, series.length) : line(plot, values)}
        />
      ))}
    </>
  );
}

/** A line that breaks where nothing is known; what stands alone is a ring. */
function line(plot: Plot, values: Series["values"]): string {
  let drawn = "";
  let down = false;
  values.forEach((value, at) => {
    const time = plot.times[at];
    if (value === null || time === undefined) {
      down = false;
      return;
    }
    const alone = !down && (values[at + 1] ?? null) === null;
    drawn += `${down ? "L" : "M"}${plot.x(time).toFixed(1)} ${plot.y(value).toFixed(1)}${alone ? RING : ""}`;
    down = true;
  });
  return drawn;
}

/** Bars of one series, beside those of the others. */
function bars(plot: Plot, values: Series["values"], n: number, of: number): string {
  const thick = Math.max(1, Math.min(WIDEST_BAR, (plot.slot * BARS_SHARE) / of));
  const drawn = values.map((value, at) => {
    const time = plot.times[at];
    if (!value || time === undefined) return "";
    const left = plot.x(time) - (thick * of) / 2 + n * thick;
    return `M${left.toFixed(1)} ${plot.bottom}V${plot.y(value).toFixed(1)}h${thick.toFixed(1)}V${plot.bottom}z`;
  });
  return drawn.join("");
}
