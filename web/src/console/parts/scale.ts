/** Where an axis has its marks. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Steps of time that a reader counts in, in milliseconds. */
const TIMES = [1, 2, 5, 10, 15, 30].flatMap((n) => [n * 1000, n * MINUTE]);
const SPANS = [...TIMES, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 7 * DAY].sort(
  (a, b) => a - b,
);

/** A rate is a share of what may be, drawn up to all of it; a part is drawn as large as it is. */
export type Unit = "number" | "rate" | "part" | "ms";

/** Return the marks from 0 on, about as many as asked for; the last is at or above `max`. */
export function marks(max: number, wanted: number, unit: Unit): number[] {
  if (unit === "rate") return [0, 0.25, 0.5, 0.75, 1];
  const least = unit === "part" ? 0.01 : 1;
  const step = stepFor(Math.max(max, least) / wanted, unit);
  return Array.from({ length: Math.ceil(Math.max(max, step) / step) + 1 }, (_, at) => at * step);
}

/** Return times between two others at which a clock shows round numbers, at most as many as wanted. */
export function moments(from: number, to: number, wanted: number): number[] {
  const step = SPANS.find((span) => (to - from) / span <= wanted) ?? 7 * DAY;
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((from - offset) / step) * step + offset;
  return Array.from(
    { length: Math.max(0, Math.floor((to - first) / step) + 1) },
    (_, at) => first + at * step,
  );
}

function stepFor(least: number, unit: Unit): number {
  if (unit === "ms" && least > 500) return SPANS.find((span) => span >= least) ?? 7 * DAY;
  const power = 10 ** Math.floor(Math.log10(least));
  const found = [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least - 1e-9) ?? 10 * power;
  return unit === "number" ? Math.max(1, found) : found;
}
