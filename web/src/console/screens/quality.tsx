/** How well a call went: what its participants have measured of each path. */

import { useEffect, useMemo } from "preact/hooks";
import type { Call, Sample } from "../answers";
import * as api from "../api";
import { bytes, count, duration, NONE, percent } from "../format";
import { Chart } from "../parts/chart";
import { Table } from "../parts/table";
import { Section, Trouble } from "../parts/words";
import { type Reading, useReading } from "../reading";
import { type Path, paths, timeline } from "../samples";

const EVERY_MS = 5000;
const PART = 500;
/** Twenty parts: four people for about an hour. */
const MOST = 10_000;
const DRAWN_PATHS = 4;

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

interface QualityProps {
  readonly reading: Reading<readonly Sample[]>;
  /** Whose each connection is. */
  readonly users: ReadonlyMap<string, string | null>;
}

/** Read what the participants have measured, for as long as the call lasts. */
export function useSamples({ id, state }: Call): Reading<readonly Sample[]> {
  const known = useMemo(() => new Samples(id), [id]);
  const active = state === "active";
  const reading = useReading((ending) => known.more(ending), [id], active ? EVERY_MS : undefined);
  useEffect(() => reading.refresh(), [active]);
  return reading;
}

export function Quality({ reading, users }: QualityProps) {
  const samples = reading.value.value;
  const found = useMemo(() => paths(samples ?? [], (id) => users.get(id) ?? id), [samples, users.size]);
  const times = useMemo(() => timeline(found), [found]);
  return (
    <Section title="Quality" aside={<p class="hint">{scope(samples?.length ?? 0, found.length)}</p>}>
      <Trouble problem={reading.problem.value} />
      {samples?.length === 0 && (
        <p class="none">
          No participant has reported: their programs send no reports, or the app wants none.
        </p>
      )}
      {samples && samples.length > 0 && (
        <>
          <Charts paths={found.slice(0, DRAWN_PATHS)} times={times} />
          <Table<Path>
            caption="Each path, over the whole call"
            items={found}
            keyOf={({ name }) => name}
            columns={[
              { name: "Path", cell: ({ name }) => <bdi>{name}</bdi>, as: "wide" },
              { name: "Loss", cell: ({ loss }) => percent(loss), as: "number" },
              { name: "Round trip", cell: ({ roundTripMs }) => ms(roundTripMs), as: "number" },
              { name: "Received", cell: ({ received }) => bytes(received), as: "minor number" },
              { name: "Sent", cell: ({ sent }) => bytes(sent), as: "minor number" },
              { name: "Candidates", cell: ({ candidates }) => candidates, as: "minor" },
              { name: "Setup", cell: ({ setupMs }) => ms(setupMs), as: "minor number" },
              { name: "First media", cell: ({ firstMediaMs }) => ms(firstMediaMs), as: "minor number" },
            ]}
          />
        </>
      )}
    </Section>
  );
}

/** What is drawn of what is known. */
function scope(samples: number, known: number): string {
  const said = ["as the participants measured it"];
  if (known > DRAWN_PATHS) said.push(`the ${DRAWN_PATHS} worst of ${count(known)} paths are drawn`);
  if (samples >= MOST) said.push(`from the first ${count(MOST)} measurements`);
  return said.join("; ");
}

function Charts({ paths: drawn, times }: { paths: readonly Path[]; times: readonly number[] }) {
  const series = (pick: (sample: Sample) => number | null) =>
    drawn.map((path) => ({ name: path.name, values: path.over(times, pick) }));
  return (
    <div class="charts charts-large">
      <Chart
        title="Round trip"
        unit="ms"
        clock={CLOCK}
        times={times}
        series={series((sample) => sample.roundTripMs)}
      />
      <Chart
        title="Jitter"
        unit="ms"
        clock={CLOCK}
        times={times}
        series={series((sample) => sample.jitterMs)}
      />
      <Chart title="Packets lost" unit="part" clock={CLOCK} times={times} series={series(lossOf)} />
      <Chart
        title="Received"
        unit="bytes"
        clock={CLOCK}
        times={times}
        series={series((sample) => sample.bytesReceived)}
      />
    </div>
  );
}

/** What is known of a call, read on from where it was left. */
class Samples {
  readonly #id: string;
  #all: readonly Sample[] = [];
  #cursor: string | undefined;
  #ended = 0;

  constructor(id: string) {
    this.#id = id;
  }

  async more(ending: AbortSignal): Promise<readonly Sample[]> {
    while (this.#all.length < MOST) {
      const { items, next } = await api.quality(this.#id, { limit: PART, cursor: this.#cursor }, ending);
      const kept = this.#all.slice(0, this.#ended);
      this.#all = [...kept, ...items];
      if (!next) break;
      this.#cursor = next;
      this.#ended = this.#all.length;
    }
    return this.#all;
  }
}

function lossOf({ packetsLost, packetsReceived }: Sample): number | null {
  const sent = packetsLost + packetsReceived;
  return sent > 0 ? packetsLost / sent : null;
}

const ms = (value: number | null): string => (value === null ? NONE : duration(value));
