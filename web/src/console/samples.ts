/** Measurements of a call, sorted by path: from who measured to whom it measured. */

import type { Sample } from "./answers";

const SLOTS = 240;

export class Path {
  readonly name: string;
  readonly samples: readonly Sample[];
  readonly loss: number;
  /** The usual one: half of the measurements are below. */
  readonly roundTripMs: number | null;
  readonly received: number;
  readonly sent: number;
  readonly candidates: string;
  readonly setupMs: number | null;
  readonly firstMediaMs: number | null;

  constructor(name: string, samples: readonly Sample[]) {
    this.name = name;
    this.samples = samples;
    const sum = (pick: (sample: Sample) => number) =>
      samples.reduce((total, sample) => total + pick(sample), 0);
    const [lost, arrived] = [sum((sample) => sample.packetsLost), sum((sample) => sample.packetsReceived)];
    this.loss = lost + arrived > 0 ? lost / (lost + arrived) : 0;
    this.received = sum((sample) => sample.bytesReceived);
    this.sent = sum((sample) => sample.bytesSent);
    const trips = samples.flatMap(({ roundTripMs }) => roundTripMs ?? []).sort((a, b) => a - b);
    this.roundTripMs = trips[Math.floor(trips.length / 2)] ?? null;
    const last = samples.findLast(({ localCandidate }) => localCandidate !== null);
    this.candidates = last ? `${last.localCandidate} to ${last.remoteCandidate ?? "?"}` : "";
    this.setupMs = samples.find(({ setupMs }) => setupMs !== null)?.setupMs ?? null;
    this.firstMediaMs = samples.find(({ firstMediaMs }) => firstMediaMs !== null)?.firstMediaMs ?? null;
  }

  /** Return a value for each time: the worst of those measured from it until the next, null for none. */
  over(times: readonly number[], pick: (sample: Sample) => number | null): (number | null)[] {
    const values: (number | null)[] = times.map(() => null);
    let at = 0;
    for (const sample of this.samples) {
      const time = Date.parse(sample.time);
      while (at + 1 < times.length && (times[at + 1] ?? 0) <= time) at += 1;
      const value = pick(sample);
      if (value !== null) values[at] = Math.max(values[at] ?? 0, value);
    }
    return values;
  }
}

/** Return the paths that were measured, the worst first. */
export function paths(samples: readonly Sample[], nameOf: (connectionId: string) => string): Path[] {
  const found = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = `${sample.connectionId} ${sample.peer}`;
    const path = found.get(key) ?? [];
    path.push(sample);
    found.set(key, path);
  }
  const named = new Map<string, number>();
  const name = ({ connectionId, peer }: Sample): string => {
    const words = `${nameOf(connectionId)} from ${nameOf(peer)}`;
    const times = (named.get(words) ?? 0) + 1;
    named.set(words, times);
    return times > 1 ? `${words} (${times})` : words;
  };
  return [...found.values()]
    .map((path) => new Path(path[0] ? name(path[0]) : "", path))
    .sort((a, b) => b.loss - a.loss || (b.roundTripMs ?? 0) - (a.roundTripMs ?? 0));
}

/** Return times that cover all measurements evenly, no closer than reports come. */
export function timeline(all: readonly Path[]): number[] {
  const times = all.flatMap(({ samples }) => samples.map(({ time }) => Date.parse(time)));
  if (times.length === 0) return [];
  const [from, to] = [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))];
  const step = Math.max(5000, Math.ceil((to - from) / SLOTS / 1000) * 1000);
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => from + at * step);
}
