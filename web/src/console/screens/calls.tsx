/** Calls that last, and those of before. */

import type { ListedCall } from "../answers";
import * as api from "../api";
import { duration, NONE } from "../format";
import { useLive } from "../live";
import { known } from "../names";
import { usePages } from "../pages";
import { Age, Time } from "../parts/clock";
import { Choice, Filters, filter, SPAN_WORDS, since, TextFilter } from "../parts/filters";
import { LiveState } from "../parts/live-state";
import { type Column, PagedTable } from "../parts/table";
import { Badge, RoomLink } from "../parts/words";
import { useReading } from "../reading";
import { href } from "../router";

const EVERY_MS = 10_000;
const TYPES = ["call.started", "call.ended"];
const SHOWN_NAMES = 3;

const COLUMNS: readonly Column<ListedCall>[] = [
  {
    name: "Began",
    cell: ({ id, startedAt }) => (
      <a href={href("calls", id)}>
        <Time iso={startedAt} />
      </a>
    ),
  },
  { name: "Room", cell: ({ room }) => <RoomLink name={room} />, as: "wide" },
  { name: "State", cell: ({ state }) => <CallState state={state} /> },
  { name: "Lasted", cell: (call) => <Lasted call={call} />, as: "number" },
  { name: "Took part", cell: (call) => <bdi>{whoTookPart(call)}</bdi>, as: "minor" },
  { name: "Setup", cell: ({ setupMs }) => (setupMs === null ? NONE : duration(setupMs)), as: "minor number" },
  { name: "Ended because", cell: ({ reason }) => reason ?? NONE, as: "minor" },
];

export function Calls() {
  const span = filter("span");
  const query = { q: filter("q"), state: filter("state"), from: since(span) };
  const pages = usePages(api.calls, query, EVERY_MS);
  const total = useReading((ending) => api.countCalls(query, ending), [JSON.stringify(query)], EVERY_MS);
  const live = useLive({}, TYPES, () => {
    pages.reading.follow();
    total.follow();
  });
  return (
    <>
      <div class="screen-head">
        <h1 tabIndex={-1}>Calls</h1>
        <LiveState of={live} />
      </div>
      <Filters>
        <TextFilter name="q" label="Search" hint="Part of a room, user or connection" />
        <Choice
          name="state"
          label="State"
          of={[
            ["", "Any"],
            ["active", "Lasting"],
            ["ended", "Ended"],
          ]}
        />
        <Choice name="span" label="Began" of={SPAN_WORDS} />
      </Filters>
      <PagedTable
        caption="Calls, the latest first"
        columns={COLUMNS}
        pages={pages}
        total={total.value.value}
        keyOf={({ id }) => id}
        none={query.q || query.state || span ? "No call fits." : "No call yet."}
      />
    </>
  );
}

export const CallState = ({ state }: Pick<ListedCall, "state">) =>
  state === "active" ? <Badge tone="good">lasts</Badge> : <Badge>ended</Badge>;

export const Lasted = ({ call: { startedAt, durationMs } }: { call: ListedCall }) =>
  durationMs === null ? <Age iso={startedAt} /> : <span>{duration(durationMs)}</span>;

function whoTookPart({ participants }: ListedCall): string {
  const names = participants.map(({ userId, connectionId }) => userId ?? known(connectionId) ?? connectionId);
  const more = names.length - SHOWN_NAMES;
  return names.slice(0, SHOWN_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
