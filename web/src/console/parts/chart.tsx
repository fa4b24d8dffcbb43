/**
 * Numbers over time, as lines or bars.
 *
 * Drawn as SVG of our own (docs/decisions/0011-charts.md): it takes its colours from the style sheet, in light and dark,
 * and is read out in a sentence. With the pointer or a slider one walks along it; a table has the same numbers.
 */

import { useSignal } from "@preact/signals";
import { useEffect, useId, useState } from "preact/hooks";
import { bytes, duration, NONE, number, percent } from "../format";
import { Drawing } from "./drawing";
import { Plot, type Series } from "./plot";
import type { Unit } from "./scale";

interface ChartProps {
  readonly title: string;
  /** Milliseconds since 1970, in order. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly unit?: Unit | "bytes";
  readonly as?: "lines" | "bars";
  /** What a single time is called. */
  readonly clock?: Intl.DateTimeFormat;
  readonly height?: number;
  /** What is said while there is nothing to draw. */
  readonly none?: string;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});

const FORMATS: Readonly<Record<Unit | "bytes", (value: number) => string>> = {
  number,
  rate: percent,
  part: percent,
  ms: duration,
  bytes,
};

export function Chart({
  title,
  times,
  series,
  unit = "number",
  as = "lines",
  none = "Nothing yet.",
  clock = CLOCK,
  height = 180,
}: ChartProps) {
  const id = useId();
  const [frame, width] = useWidth();
  const at = useSignal<number | undefined>(undefined);
  const [open, turn] = useState(false);
  const format = FORMATS[unit];
  const said = (values: readonly (number | null)[], index: number): string => {
    const value = values[index];
    return value === null || value === undefined ? NONE : format(value);
  };
  const empty = !series.some(({ values }) => values.some((value) => value !== null));
  const pointed = at.value === undefined ? undefined : Math.min(at.value, times.length - 1);
  const shown = pointed ?? latest(series);

  const plot = new Plot(times, series, unit, format, [width, height], as === "bars");
  const words = (index: number) =>
    series.map(({ name, values }) => `${name} ${said(values, index)}`).join(", ");

  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption>
        <h3 id={id}>{title}</h3>
        {!empty && <p class="chart-at">{pointed === undefined ? "latest" : clock.format(times[shown])}</p>}
      </figcaption>
      {empty ? (
        <p class="none">{none}</p>
      ) : (
        <>
          <ul class="legend">
            {series.map(({ name, values }, n) => (
              <li key={name}>
                <svg class="legend-key" viewBox="0 0 18 8" aria-hidden="true">
                  <path class={`line line-${n} ${as}`} d="M1 4H17" />
                </svg>
                {name} <b>{said(values, shown)}</b>
              </li>
            ))}
          </ul>
          <div ref={frame} class="chart-frame">
            <input
              type="range"
              class="chart-walk"
              min={0}
              max={times.length - 1}
              value={shown}
              aria-label={`Time in ${title}`}
              aria-valuetext={`${clock.format(times[shown])}: ${words(shown)}`}
              onInput={({ currentTarget }) => {
                at.value = Number(currentTarget.value);
              }}
              onBlur={() => {
                at.value = undefined;
              }}
            />
            {width > 0 && (
              <svg
                viewBox={`0 0 ${width} ${height}`}
                width={width}
                height={height}
                role="img"
                aria-label={summary(title, series, format)}
                onPointerMove={({ offsetX }) => {
                  at.value = plot.nearest(offsetX);
                }}
                onPointerLeave={() => {
                  at.value = undefined;
                }}
              >
                <Drawing plot={plot} series={series} as={as} format={format} pointed={pointed} />
              </svg>
            )}
          </div>
          <details class="chart-table" onToggle={({ currentTarget }) => turn(currentTarget.open)}>
            <summary>As a table</summary>
            {open && (
              <div class="table-frame chart-rows">
                <table class="table">
                  <caption class="unseen">{title}</caption>
                  <thead>
                    <tr>
                      <th scope="col">Time</th>
                      {series.map(({ name }) => (
                        <th key={name} scope="col" class="number">
                          {name}
                        </th>
                      ))}
                    </tr>
                  </thead>
                  <tbody>
                    {times.map((time, index) => (
                      <tr key={time}>
                        <th scope="row">{clock.format(time)}</th>
                        {series.map(({ name, values }) => (
                          <td key={name} class="number">
                            {said(values, index)}
                          </td>
                        ))}
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
          </details>
        </>
      )}
    </figure>
  );
}

/** The last time at which anything is known. */
function latest(series: readonly Series[]): number {
  return Math.max(0, ...series.map(({ values }) => values.findLastIndex((value) => value !== null)));
}

/** What the picture shows, for those who hear it. */
function summary(title: string, series: readonly Series[], format: (value: number) => string): string {
  const each = series.map(({ name, values }) => {
    const known = values.filter((value): value is number => value !== null);
    const last = known.at(-1);
    if (last === undefined) return `${name}: nothing known`;
    return `${name}: latest ${format(last)}, least ${format(Math.min(...known))}, most ${format(Math.max(...known))}`;
  });
  return `${title}. ${each.join(". ")}.`;
}

/** The width that the page has for a drawing: its text keeps its size, however wide it is. */
function useWidth() {
  const [frame, found] = useState<HTMLDivElement | null>(null);
  const [width, measured] = useState(0);
  useEffect(() => {
    if (!frame) return undefined;
    const observer = new ResizeObserver(([entry]) => measured(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(frame);
    return () => observer.disconnect();
  }, [frame]);
  return [found, width] as const;
}
