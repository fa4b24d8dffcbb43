/** What is now: how much, how fast, and whether every part is well. */

import type { Signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { ActivityStep, Listed, Part } from "../answers";
import * as api from "../api";
import { count, NONE } from "../format";
import { Chart } from "../parts/chart";
import { Age } from "../parts/clock";
import { Table } from "../parts/table";
import { HAPPENINGS, Timeline } from "../parts/timeline";
import { Badge, Section, Trouble } from "../parts/words";
import { type Reading, useReading } from "../reading";
import { href, type Screen } from "../router";

const COUNTS_MS = 10_000;
const RATES_MS = 2000;
const PARTS_MS = 5000;
const HOUR_MS = 60_000;
const SPAN_S = 120;
const FEED = 40;

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function Overview() {
  const connections = useReading((ending) => api.countConnections({}, ending), [], COUNTS_MS);
  const rooms = useReading((ending) => api.countRooms({}, ending), [], COUNTS_MS);
  const calls = useReading((ending) => api.countCalls({ state: "active" }, ending), [], COUNTS_MS);
  const hour = useReading((ending) => api.activity({ step: "minute" }, ending), [], HOUR_MS);
  const counted: Readonly<Record<string, Reading<number>>> = {
    connection: connections,
    room: rooms,
    call: calls,
  };

  return (
    <>
      <h1 tabIndex={-1}>Overview</h1>
      <ul class="figures">
        <Figure label="Connections" of={connections} screen="connections" />
        <Figure label="Rooms" of={rooms} screen="rooms" />
        <Figure label="Calls" of={calls} screen="calls" query={{ state: "active" }} />
        <Failures of={hour} />
      </ul>
      <Rates />
      <div class="columns">
        <Timeline
          title="Now"
          query={{ since: "10m" }}
          types={HAPPENINGS}
          kept={FEED}
          none="Nothing has happened in the last ten minutes."
          onEvents={(events) => {
            for (const kind of new Set(events.map(({ type }) => type.split(".", 1)[0] ?? "")))
              counted[kind]?.follow();
          }}
        />
        <Parts />
      </div>
    </>
  );
}

interface FigureProps {
  readonly label: string;
  readonly of: Reading<number>;
  readonly screen: Screen;
  readonly query?: Readonly<Record<string, string>>;
}

function Figure({ label, of, screen, query = {} }: FigureProps) {
  const value = of.value.value;
  const problem = of.problem.value;
  return (
    <li class="figure">
      <a href={href(screen, undefined, query)}>
        <span class="figure-name">{label}</span>
        <b class="figure-value" data-figure={screen}>
          {value === undefined ? NONE : count(value)}
        </b>
        <span class="figure-note">{problem && value === undefined ? problem.message : "now"}</span>
      </a>
    </li>
  );
}

function Failures({ of }: { of: Reading<Listed<ActivityStep>> }) {
  const steps = of.value.value?.items;
  const total = (pick: (step: ActivityStep) => number) =>
    steps?.reduce((sum, step) => sum + pick(step), 0) ?? 0;
  const [unanswered, failed] = [total((step) => step.negotiationsFailed), total((step) => step.eventsFailed)];
  return (
    <li class="figure">
      <a href={href("charts", undefined, { span: "1h" })}>
        <span class="figure-name">Failures</span>
        <b class="figure-value">{steps ? count(unanswered + failed) : NONE}</b>
        <span class="figure-note">
          {steps ? `in an hour: ${count(unanswered)} unanswered, ${count(failed)} errors` : "in an hour"}
        </span>
      </a>
    </li>
  );
}

/** Events of each second, of the last two minutes. The current second is not over and left out. */
function Rates() {
  const reading = useReading(
    (ending) => {
      const second = Math.floor(Date.now() / 1000);
      const [from, to] = [second - SPAN_S, second - 1].map((at) => new Date(at * 1000).toISOString());
      return api.activity({ step: "second", from, to }, ending);
    },
    [],
    RATES_MS,
  );
  const steps = reading.value.value?.items ?? [];
  const times = useMemo(() => steps.map(({ time }) => Date.parse(time)), [steps]);
  const each = (name: string, pick: (step: ActivityStep) => number) => ({ name, values: steps.map(pick) });
  const chart = { times, clock: CLOCK, height: 120, none: "Nothing has been counted yet." };
  return (
    <Section title="Each second" aside={<p class="hint">the last two minutes</p>}>
      <Trouble problem={reading.problem.value} />
      {reading.value.value && (
        <div class="charts charts-small">
          <Chart {...chart} title="Messages" series={[each("messages", (step) => step.messages)]} />
          <Chart
            {...chart}
            title="Connections"
            series={[
              each("opened", (step) => step.connectionsOpened),
              each("closed", (step) => step.connectionsClosed),
            ]}
          />
          <Chart
            {...chart}
            title="Members"
            series={[each("joined", (step) => step.joins), each("left", (step) => step.leaves)]}
          />
          <Chart
            {...chart}
            title="Negotiations"
            series={[
              each("offered", (step) => step.offers),
              each("unanswered", (step) => step.negotiationsFailed),
            ]}
          />
        </div>
      )}
    </Section>
  );
}

function Parts() {
  const reading = useReading((ending) => api.parts(ending), [], PARTS_MS);
  const parts: Signal<Listed<Part> | undefined> = reading.value;
  const troubled = parts.value?.items.some(({ ready }) => !ready);
  return (
    <Section title="Parts">
      <Trouble problem={reading.problem.value} />
      {parts.value && (
        <Table<Part>
          caption="Processes of Parley and how they are"
          items={parts.value.items}
          keyOf={({ name, instance }) => `${name} ${instance}`}
          columns={[
            {
              name: "Part",
              cell: ({ name, instance }) => (
                <>
                  {name} <code class="soft">{instance}</code>
                </>
              ),
            },
            { name: "State", cell: (part) => <Health of={part} />, as: troubled ? "wide" : undefined },
            {
              name: "Figures",
              cell: ({ figures }) =>
                Object.entries(figures)
                  .map(([name, value]) => `${count(value)} ${name}`)
                  .join(", ") || NONE,
            },
            { name: "Up", cell: ({ startedAt }) => <Age iso={startedAt} />, as: "minor number" },
            { name: "Version", cell: ({ version }) => version, as: "minor" },
          ]}
        />
      )}
    </Section>
  );
}

function Health({ of: { ready, missing } }: { of: Part }) {
  if (ready) return <Badge tone="good">well</Badge>;
  return (
    <>
      <Badge tone="poor">not ready</Badge>
      {Object.entries(missing).map(([name, sentence]) => (
        <p key={name} class="missing">
          {name}: {sentence}
        </p>
      ))}
    </>
  );
}
