/** Numbers, times and durations as an operator reads them. */

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const FULL = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAYS = 24 * HOUR;

/** What stands where nothing is known. */
export const NONE = "–";

export const count = (value: number): string => WHOLE.format(value);

/** A number of at most one digit behind the point. */
export const number = (value: number): string => (Math.abs(value) >= 100 ? WHOLE : FINE).format(value);

export const percent = (share: number): string => `${FINE.format(share * 100)} %`;

/** A time of day, with the day if it was not in the last twelve hours. */
export function time(iso: string, now = Date.now()): string {
  const at = new Date(iso);
  return Math.abs(now - at.getTime()) < DAYS / 2 ? CLOCK.format(at) : DAY.format(at);
}

/** A time with its zone, as said to whoever points at it. */
export const fullTime = (iso: string): string => FULL.format(new Date(iso));

/** A span of time, in the two units that matter: `320 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${WHOLE.format(ms)} ms`;
  if (ms < MINUTE) return `${FINE.format(ms / SECOND)} s`;
  if (ms < HOUR) return units(ms, MINUTE, "min", SECOND, "s");
  if (ms < DAYS) return units(ms, HOUR, "h", MINUTE, "min");
  return units(ms, DAYS, "d", HOUR, "h");
}

/** How long ago, coarse: it stands beside hundreds of others. */
export function age(iso: string, now: number): string {
  const ms = Math.max(0, now - new Date(iso).getTime());
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < DAYS) return units(ms, HOUR, "h", MINUTE, "min");
  return units(ms, DAYS, "d", HOUR, "h");
}

export function bytes(value: number): string {
  if (value < 1000) return `${WHOLE.format(value)} B`;
  if (value < 1e6) return `${FINE.format(value / 1e3)} kB`;
  return `${FINE.format(value / 1e6)} MB`;
}

function units(ms: number, large: number, largeName: string, small: number, smallName: string): string {
  const whole = Math.floor(ms / large);
  const rest = Math.floor((ms - whole * large) / small);
  return rest > 0 ? `${whole} ${largeName} ${rest} ${smallName}` : `${whole} ${largeName}`;
}
