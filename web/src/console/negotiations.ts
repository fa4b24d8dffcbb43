/** How those in a call came to hear each other: each offer with the answer and the media that it led to. */

import type { Sample, Step } from "./answers";

/** Offers that are further apart than this have a time axis of their own. */
const APART_MS = 10_000;

export interface Negotiation {
  readonly from: string;
  /** Null where it went to a whole room. */
  readonly to: string | null;
  /** When it was offered, in milliseconds since 1970. */
  readonly at: number;
  /** `replaced`: the same two have negotiated anew before there was an answer. */
  readonly state: "waiting" | "answered" | "failed" | "replaced";
  /** From the offer to the answer, or until it was given up. */
  readonly endMs: number | null;
  /** From the offer to the first media between the two, as the first of them reports it. */
  readonly mediaMs: number | null;
  readonly traceUrl: string | null;
}

/** Negotiations that are close to each other. */
export interface Round {
  readonly from: number;
  /** Until the last of it has come, in milliseconds. */
  readonly length: number;
  readonly all: readonly Negotiation[];
}

type Known = { -readonly [name in keyof Negotiation]: Negotiation[name] };

/** Return the negotiations in the order of their offers; an answer to an offer that is not known is none. */
export function negotiations(steps: readonly Step[], samples: readonly Sample[]): readonly Negotiation[] {
  const all: Known[] = [];
  for (const step of steps) {
    const at = Date.parse(step.time);
    if (step.type === "offered") {
      const { from, to, traceUrl } = step;
      all.push({ from, to, at, state: "waiting", endMs: null, mediaMs: null, traceUrl });
    } else if (step.type === "answered") {
      answer(all, step, at);
    } else {
      const given = all.find(
        (one) => one.state === "waiting" && one.from === step.from && one.to === step.to,
      );
      if (given) Object.assign(given, { state: "failed", endMs: at - given.at });
    }
  }
  hear(all, samples);
  return all;
}

/** Return them by when they were; a call may last for hours between two of them. */
export function rounds(all: readonly Negotiation[]): readonly Round[] {
  const found: { from: number; end: number; all: Negotiation[] }[] = [];
  for (const one of all) {
    const end = one.at + Math.max(one.endMs ?? 0, one.mediaMs ?? 0);
    const last = found.at(-1);
    if (last && one.at - last.end <= APART_MS) {
      last.all.push(one);
      last.end = Math.max(last.end, end);
    } else {
      found.push({ from: one.at, end, all: [one] });
    }
  }
  return found.map(({ from, end, all }) => ({ from, length: end - from, all }));
}

/** The latest offer is the one that is answered: those of before, among the same two, were taken back. */
function answer(all: readonly Known[], { from, to }: Step, at: number): void {
  const open = all.filter(
    (one) => one.state === "waiting" && (one.from === to || to === null) && (one.to === from || !one.to),
  );
  const answered = open.pop();
  if (!answered) return;
  Object.assign(answered, { state: "answered", endMs: at - answered.at });
  for (const one of open) if (one.from === answered.from && one.to === answered.to) one.state = "replaced";
}

/** Programs report what the first negotiation with a peer led to; the least of what two say is when one of them heard. */
function hear(all: readonly Known[], samples: readonly Sample[]): void {
  const least = new Map<string, number>();
  for (const { connectionId, peer, firstMediaMs } of samples) {
    const two = pair(connectionId, peer);
    if (firstMediaMs !== null) least.set(two, Math.min(firstMediaMs, least.get(two) ?? firstMediaMs));
  }
  for (const one of all) {
    const two = one.to === null ? "" : pair(one.from, one.to);
    if (one.state !== "answered" || !least.has(two)) continue;
    one.mediaMs = least.get(two) ?? null;
    least.delete(two);
  }
}

const pair = (one: string, other: string): string => [one, other].sort().join(" ");
