/** One call: who took part, how it came about, how well it went, and why it ended. */

import { useMemo } from "preact/hooks";
import type { Call as Answer, Participant, Sample, Step } from "../answers";
import * as api from "../api";
import { count, duration, NONE } from "../format";
import { useLive } from "../live";
import { negotiations, rounds } from "../negotiations";
import { Time } from "../parts/clock";
import { Table } from "../parts/table";
import { Waterfall, WaterfallLegend } from "../parts/waterfall";
import { Badge, Fields, Person, RoomLink, Section, type Tone, Trouble } from "../parts/words";
import { useReading } from "../reading";
import { href } from "../router";
import { CallState, Lasted } from "./calls";
import { Quality, useSamples } from "./quality";

const EVERY_MS = 10_000;
const LIVE = ["call.started", "call.ended", "negotiation.*", "room.joined", "room.left"];

/** More are in the list below. */
const MOST_DRAWN = 100;

const REASONS: Readonly<Record<string, string>> = {
  left: "A participant hung up, and one who is left alone is in no call.",
  disconnected: "A participant's connection was lost and did not come back in time.",
  replaced: "A participant's place was taken by another connection of the same device.",
  removed: "A participant was taken out: by a backend, or at this console.",
  expired: "A participant's token expired.",
};

const STEPS: Readonly<Record<Step["type"], { tone: Tone; words: string }>> = {
  offered: { tone: "plain", words: "offered" },
  answered: { tone: "good", words: "answered" },
  failed: { tone: "poor", words: "had no answer from" },
};

export function Call({ id }: { id: string }) {
  const reading = useReading((ending) => api.call(id, ending), [id], EVERY_MS);
  const call = reading.value.value;
  return (
    <>
      <p class="crumbs">
        <a href={href("calls")}>Calls</a>
      </p>
      {call ? <Known call={call} refresh={() => reading.follow()} /> : <h1 tabIndex={-1}>Call</h1>}
      <Trouble problem={reading.problem.value} />
    </>
  );
}

function Known({ call, refresh }: { call: Answer; refresh: () => void }) {
  const participants = useParticipants(call);
  useLive({ room: call.room }, LIVE, refresh);
  const samples = useSamples(call);
  const users = new Map(participants.map(({ connectionId, userId }) => [connectionId, userId]));
  const trace = call.ownTraceUrl ?? call.traceUrl;
  return (
    <>
      <div class="screen-head">
        <h1 tabIndex={-1}>
          Call in <RoomLink name={call.room} /> <CallState state={call.state} />
        </h1>
        {trace && (
          <a class="button" href={trace} target="_blank" rel="noreferrer">
            {call.ownTraceUrl ? "Open its trace" : "Open the trace of its start"}
          </a>
        )}
      </div>
      {call.state === "ended" && (
        <p class="reason" data-reason={call.reason}>
          {(call.reason && REASONS[call.reason]) ?? `It ended: ${call.reason ?? "nobody said why"}.`}
        </p>
      )}
      <Fields
        of={[
          ["Began", <Time key="began" iso={call.startedAt} />],
          ["Ended", call.endedAt ? <Time key="ended" iso={call.endedAt} /> : NONE],
          ["Lasted", <Lasted key="lasted" call={call} />],
          ["Setup", lasted(call.setupMs)],
          ["First answer", lasted(call.firstAnswerMs)],
          ["First media", lasted(call.firstMediaMs)],
          ["Call", <code key="id">{call.id}</code>],
          [
            call.ownTraceId ? "Trace" : "Trace of its start",
            <Trace key="trace" id={call.ownTraceId ?? call.traceId} />,
          ],
        ]}
      />
      <Connecting call={call} users={users} samples={samples.value.value ?? []} />
      <div class="columns">
        <Section title="Participants">
          <Table<Seen>
            caption="Participants, the earliest first"
            items={participants}
            keyOf={({ connectionId, joinedAt }) => `${connectionId} ${joinedAt}`}
            columns={[
              { name: "Who", cell: (participant) => <Person {...participant} />, as: "wide" },
              {
                name: "From",
                cell: ({ joinedAt }) => (joinedAt ? <Time iso={joinedAt} /> : NONE),
                as: "number",
              },
              { name: "To", cell: ({ leftAt }) => (leftAt ? <Time iso={leftAt} /> : NONE), as: "number" },
            ]}
          />
        </Section>
        <Section title="Negotiation" aside={<p class="hint">times count from the call's start</p>}>
          {call.steps.length === 0 ? (
            <p class="none">No step is known.</p>
          ) : (
            <ol class="steps">
              {call.steps.map((step, at) => (
                <li
                  key={`${at} ${step.time}`}
                  class={`event event-${STEPS[step.type]?.tone ?? "plain"}`}
                  data-step={step.type}
                >
                  <time dateTime={step.time}>{after(step.time, call.startedAt)}</time>
                  <p>
                    <Person connectionId={step.from} userId={users.get(step.from)} />{" "}
                    {STEPS[step.type]?.words ?? step.type}{" "}
                    {step.to === null ? (
                      "all in the room"
                    ) : (
                      <Person connectionId={step.to} userId={users.get(step.to)} />
                    )}
                    {step.traceUrl && (
                      <>
                        {" "}
                        <a class="aside" href={step.traceUrl} target="_blank" rel="noreferrer">
                          trace<span class="unseen"> of this step</span>
                        </a>
                      </>
                    )}
                  </p>
                </li>
              ))}
            </ol>
          )}
        </Section>
      </div>
      <Quality reading={samples} users={users} />
      {call.state === "ended" && call.steps.some(({ type }) => type === "failed") && (
        <p class="hint">
          <Badge tone="poor">unanswered</Badge> An offer without an answer: the other had closed its page, had
          lost its connection, or does not take part.
        </p>
      )}
    </>
  );
}

interface ConnectingProps {
  readonly call: Answer;
  /** Whose each connection is. */
  readonly users: ReadonlyMap<string, string | null>;
  readonly samples: readonly Sample[];
}

/** How long it took those in the call to hear each other. */
function Connecting({ call, users, samples }: ConnectingProps) {
  const all = useMemo(() => negotiations(call.steps, samples), [call.steps, samples]);
  const drawn = useMemo(() => rounds(all.slice(0, MOST_DRAWN)), [all]);
  if (all.length === 0) return null;
  return (
    <Section
      title="How they came to hear each other"
      aside={
        all.length > MOST_DRAWN && (
          <p class="hint">
            the first {MOST_DRAWN} of {count(all.length)} offers
          </p>
        )
      }
    >
      <WaterfallLegend />
      {drawn.map((round) => (
        <Waterfall
          key={round.from}
          round={round}
          users={users}
          title={`From ${sinceStart(round.from, call.startedAt)}`}
        />
      ))}
    </Section>
  );
}

const Trace = ({ id }: { id: string | null }) => (id ? <code>{id}</code> : NONE);

const lasted = (ms: number | null): string => (ms === null ? NONE : duration(ms));

function sinceStart(time: number, start: string): string {
  const ms = time - Date.parse(start);
  if (ms === 0) return "the start";
  return `${duration(Math.abs(ms))} ${ms < 0 ? "before" : "after"} the start`;
}

type Seen = Omit<Participant, "joinedAt"> & { readonly joinedAt: string | null };

/** While a call lasts history knows who began it; the room knows who has come to it since. */
function useParticipants(call: Answer): readonly Seen[] {
  const lasts = call.state === "active";
  const room = useReading(async (ending) => (lasts ? await api.room(call.room, ending) : undefined), [call])
    .value.value;
  if (!lasts || room?.call?.id !== call.id) return call.participants;
  const known = new Set(call.participants.map(({ connectionId }) => connectionId));
  const later = room.call.participants.filter((id) => !known.has(id));
  const userOf = (id: string) => room.members.find(({ connectionId }) => connectionId === id)?.userId ?? null;
  return [
    ...call.participants,
    ...later.map((connectionId) => ({
      connectionId,
      userId: userOf(connectionId),
      joinedAt: null,
      leftAt: null,
    })),
  ];
}

function after(time: string, start: string): string {
  const ms = Date.parse(time) - Date.parse(start);
  return ms === 0 ? "at start" : `${ms < 0 ? "−" : "+"}${duration(Math.abs(ms))}`;
}
