/** How calls went over time. */

import { useMemo } from "preact/hooks";
import type { CallsStep, Percentiles } from "../answers";
import * as api from "../api";
import { count, duration, NONE, percent } from "../format";
import { Chart } from "../parts/chart";
import { Choice, Filters, filter, TextFilter } from "../parts/filters";
import { Section, Trouble } from "../parts/words";
import { useReading } from "../reading";

const EVERY_MS = 60_000;

interface Span {
  readonly words: string;
  readonly step: "minute" | "hour" | "day";
  readonly steps: number;
}

const MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

const SPANS: Readonly<Record<string, Span>> = {
  "24h": { words: "Last 24 hours", step: "hour", steps: 24 },
  "1h": { words: "Last hour", step: "minute", steps: 60 },
  "7d": { words: "Last 7 days", step: "hour", steps: 7 * 24 },
  "30d": { words: "Last 30 days", step: "day", steps: 30 },
};
const USUAL: Span = { words: "Last 24 hours", step: "hour", steps: 24 };

export function Charts() {
  const span = SPANS[filter("span")] ?? USUAL;
  const room = filter("room");
  const reading = useReading(
    (ending) => {
      const end = (Math.floor(Date.now() / MS[span.step]) + 1) * MS[span.step];
      const [from, to] = [end - span.steps * MS[span.step], end].map((at) => new Date(at).toISOString());
      return api.callsOverTime({ from, to, step: span.step, room }, ending);
    },
    [span, room],
    EVERY_MS,
  );
  const steps = reading.value.value?.items;
  return (
    <>
      <h1 tabIndex={-1}>Charts</h1>
      <Filters>
        <Choice
          name="span"
          label="Span"
          of={Object.entries(SPANS).map(([key, { words }]) => [key, words] as const)}
        />
        <TextFilter name="room" label="Room" hint="All rooms" />
      </Filters>
      <Trouble problem={reading.problem.value} />
      {steps && <Drawn steps={steps} each={span.step} />}
    </>
  );
}

function Drawn({ steps, each }: { steps: readonly CallsStep[]; each: Span["step"] }) {
  const times = useMemo(() => steps.map(({ time }) => Date.parse(time)), [steps]);
  const [calls, answered, failed] = [
    sum(steps, (step) => step.calls),
    sum(steps, (step) => step.answered),
    sum(steps, (step) => step.failed),
  ];
  return (
    <>
      <ul class="figures">
        <Total name="Calls" value={count(calls)} />
        <Total
          name="Success"
          value={answered + failed > 0 ? percent(answered / (answered + failed)) : NONE}
          note={`${count(failed)} unanswered offers`}
        />
        <Total
          name="Setup, at most"
          value={worst(steps, (step) => step.setupMs)}
          note="for 95 of 100, in the worst step"
        />
        <Total
          name="Duration, at most"
          value={worst(steps, (step) => step.durationMs)}
          note="for 95 of 100, in the longest step"
        />
      </ul>
      <Section title={`By ${each}`}>
        <div class="charts">
          <Chart
            title={`Calls per ${each}`}
            as="bars"
            times={times}
            series={[{ name: "calls", values: steps.map((step) => step.calls) }]}
          />
          <Chart
            title="Success rate"
            unit="rate"
            times={times}
            none="No offer was made."
            series={[{ name: "answered offers", values: steps.map((step) => step.successRate) }]}
          />
          <Chart
            title="Setup time"
            unit="ms"
            times={times}
            none="No setup time is known."
            series={percentiles(steps, (step) => step.setupMs)}
          />
          <Chart
            title="Duration"
            unit="ms"
            times={times}
            none="No call has ended."
            series={percentiles(steps, (step) => step.durationMs)}
          />
          <Chart
            title="Time to first media"
            unit="ms"
            times={times}
            none="No participant has reported it."
            series={percentiles(steps, (step) => step.firstMediaMs)}
          />
          <Chart
            title={`Offers per ${each}`}
            as="bars"
            times={times}
            series={[
              { name: "answered", values: steps.map((step) => step.answered) },
              { name: "unanswered", values: steps.map((step) => step.failed) },
            ]}
          />
        </div>
      </Section>
    </>
  );
}

const Total = ({
  name,
  value,
  note = "in the whole span",
}: {
  name: string;
  value: string;
  note?: string;
}) => (
  <li class="figure">
    <span class="figure-name">{name}</span>
    <b class="figure-value">{value}</b>
    <span class="figure-note">{note}</span>
  </li>
);

const WORDS = { p50: "half", p95: "95 of 100", p99: "99 of 100" } as const;

/** A line for each percentile, by what it says: so many are at or below it. */
function percentiles(steps: readonly CallsStep[], pick: (step: CallsStep) => Percentiles) {
  return (["p50", "p95", "p99"] as const)
    .filter((name) => steps.some((step) => pick(step)[name] !== undefined))
    .map((name) => ({ name: WORDS[name], values: steps.map((step) => pick(step)[name] ?? null) }));
}

function worst(steps: readonly CallsStep[], pick: (step: CallsStep) => Percentiles): string {
  const known = steps.flatMap((step) => pick(step).p95 ?? []);
  return known.length > 0 ? duration(Math.max(...known)) : NONE;
}

const sum = (steps: readonly CallsStep[], pick: (step: CallsStep) => number): number =>
  steps.reduce((total, step) => total + pick(step), 0);
