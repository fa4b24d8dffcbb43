/**
 * Negotiations on a time axis: a bar from each offer to its answer, and on to the first media.
 *
 * A table with the same numbers as words; the bars are for eyes alone.
 */

import { duration, NONE } from "../format";
import type { Negotiation, Round } from "../negotiations";
import { marks } from "./scale";
import { Person } from "./words";

/** Of the picture, which is as wide as there is room. */
const WIDTH = 1000;
const HEIGHT = 20;
/** What took no time at all is seen all the same. */
const LEAST = 4;
const MARKS = 4;

interface WaterfallProps {
  readonly round: Round;
  readonly title: string;
  /** Whose each connection is. */
  readonly users: ReadonlyMap<string, string | null>;
}

export function Waterfall({ round, title, users }: WaterfallProps) {
  const levels = marks(round.length, MARKS, "ms");
  const scale = WIDTH / (levels.at(-1) || 1);
  const traced = round.all.some(({ traceUrl }) => traceUrl);
  return (
    <div class="table-frame">
      <table class="table waterfall">
        <caption>{title}</caption>
        <thead>
          <tr>
            <th scope="col">Offer</th>
            <th scope="col" class="number short">
              Answer
            </th>
            <th scope="col" class="minor number short">
              Media
            </th>
            <th scope="col" class="lane">
              <span class="unseen">Drawn on an axis of</span>
              <div class="lane-times">
                {levels.map((level) => (
                  <span key={level}>{duration(level)}</span>
                ))}
              </div>
            </th>
            {traced && (
              <th scope="col" class="minor short">
                Trace
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {round.all.map((one, n) => (
            <tr key={`${n} ${one.at}`} data-negotiation={one.state}>
              <th scope="row">
                <Person connectionId={one.from} userId={users.get(one.from)} /> to{" "}
                {one.to === null ? "all" : <Person connectionId={one.to} userId={users.get(one.to)} />}
              </th>
              <td class="number">{answered(one)}</td>
              <td class="minor number">{one.mediaMs === null ? NONE : duration(one.mediaMs)}</td>
              <td class="lane">
                <Lane of={one} from={round.from} scale={scale} levels={levels} />
              </td>
              {traced && (
                <td class="minor">
                  {one.traceUrl ? (
                    <a href={one.traceUrl} target="_blank" rel="noreferrer">
                      open<span class="unseen"> the trace of this offer</span>
                    </a>
                  ) : (
                    NONE
                  )}
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the bars are. */
export const WaterfallLegend = () => (
  <ul class="legend">
    {[
      ["answer", "until the answer"],
      ["media", "until media came"],
      ["failed", "given up"],
    ].map(([kind, words]) => (
      <li key={kind}>
        <svg class="legend-key" viewBox="0 0 18 8" aria-hidden="true">
          <rect
            class={`bar bar-${kind}`}
            width="18"
            y={kind === "media" ? 2 : 0}
            height={kind === "media" ? 4 : 8}
          />
        </svg>
        {words}
      </li>
    ))}
  </ul>
);

interface LaneProps {
  readonly of: Negotiation;
  readonly from: number;
  /** Of a millisecond, in the picture. */
  readonly scale: number;
  readonly levels: readonly number[];
}

function Lane({ of, from, scale, levels }: LaneProps) {
  const x = (of.at - from) * scale;
  const end = (of.endMs ?? 0) * scale;
  const media = (of.mediaMs ?? 0) * scale;
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="lane-marks" d={levels.map((level) => `M${level * scale} 0V${HEIGHT}`).join("")} />
      {media > end && <rect class="bar bar-media" x={x + end} y={7} width={media - end} height={6} />}
      <rect
        class={`bar bar-${of.state === "failed" ? "failed" : "answer"}`}
        x={Math.min(x, WIDTH - LEAST)}
        y={3}
        width={Math.max(LEAST, end)}
        height={14}
      />
    </svg>
  );
}

function answered({ state, endMs }: Negotiation): string {
  if (endMs === null) return state === "replaced" ? "replaced" : NONE;
  return state === "failed" ? `none in ${duration(endMs)}` : duration(endMs);
}
