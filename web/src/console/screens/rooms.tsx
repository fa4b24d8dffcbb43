/** Rooms with somebody in them. */

import type { ListedRoom } from "../answers";
import * as api from "../api";
import { count, NONE } from "../format";
import { useLive } from "../live";
import { usePages } from "../pages";
import { Age } from "../parts/clock";
import { Choice, Filters, filter, TextFilter } from "../parts/filters";
import { LiveState } from "../parts/live-state";
import { type Column, PagedTable } from "../parts/table";
import { RoomLink } from "../parts/words";
import { useReading } from "../reading";
import { href } from "../router";

const EVERY_MS = 10_000;
const TYPES = ["room.*", "call.started", "call.ended"];

const COLUMNS: readonly Column<ListedRoom>[] = [
  { name: "Room", cell: ({ room }) => <RoomLink name={room} />, as: "wide" },
  { name: "Members", cell: ({ members }) => count(members), as: "number" },
  {
    name: "Call",
    cell: ({ call }) =>
      call ? (
        <a href={href("calls", call.id)}>
          {count(call.participants.length)} for <Age iso={call.startedAt} />
        </a>
      ) : (
        NONE
      ),
  },
  { name: "Open", cell: ({ openedAt }) => <Age iso={openedAt} />, as: "number" },
  { name: "Position", cell: ({ position }) => count(position), as: "minor number" },
];

export function Rooms() {
  const query = { q: filter("q"), call: filter("call") };
  const pages = usePages(api.rooms, query, EVERY_MS);
  const total = useReading((ending) => api.countRooms(query, ending), [JSON.stringify(query)], EVERY_MS);
  const live = useLive({}, TYPES, () => {
    pages.reading.follow();
    total.follow();
  });
  return (
    <>
      <div class="screen-head">
        <h1 tabIndex={-1}>
          Rooms {total.value.value !== undefined && <span class="soft">{count(total.value.value)}</span>}
        </h1>
        <LiveState of={live} />
      </div>
      <Filters>
        <TextFilter name="q" label="Search" hint="Part of the name" />
        <Choice
          name="call"
          label="Call"
          of={[
            ["", "With or without"],
            ["true", "In a call"],
          ]}
        />
      </Filters>
      <PagedTable
        caption="Rooms"
        columns={COLUMNS}
        pages={pages}
        total={total.value.value}
        keyOf={({ room, epoch }) => `${epoch} ${room}`}
        none={query.q || query.call ? "No room fits." : "No room has members."}
      />
    </>
  );
}
