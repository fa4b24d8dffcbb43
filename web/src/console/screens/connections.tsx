/** Who is connected. */

import type { Connection } from "../answers";
import * as api from "../api";
import { count } from "../format";
import { useLive } from "../live";
import { usePages } from "../pages";
import { Age } from "../parts/clock";
import { Choice, Filters, filter, TextFilter } from "../parts/filters";
import { LiveState } from "../parts/live-state";
import { type Column, PagedTable } from "../parts/table";
import { Availability, Person, RoomLink } from "../parts/words";
import { useReading } from "../reading";

const EVERY_MS = 10_000;
const SHOWN_ROOMS = 2;
const TYPES = ["connection.*", "presence.*", "room.joined", "room.left"];

const COLUMNS: readonly Column<Connection>[] = [
  { name: "Who", cell: (connection) => <Person {...connection} /> },
  { name: "State", cell: ({ availability }) => <Availability value={availability} /> },
  { name: "Rooms", cell: ({ rooms }) => <Rooms names={rooms} />, as: "wide" },
  { name: "Since", cell: ({ connectedAt }) => <Age iso={connectedAt} />, as: "number" },
  { name: "Protocol", cell: ({ dialect }) => dialect, as: "minor" },
  { name: "Address", cell: ({ address }) => address && <code>{address}</code>, as: "minor" },
  { name: "Connection", cell: ({ connectionId }) => <code class="soft">{connectionId}</code>, as: "minor" },
];

export function Connections() {
  const query = { q: filter("q"), availability: filter("availability"), order: filter("order") || "newest" };
  const { order: _, ...counted } = query;
  const pages = usePages(api.connections, query, EVERY_MS);
  const total = useReading(
    (ending) => api.countConnections(counted, ending),
    [JSON.stringify(counted)],
    EVERY_MS,
  );
  const live = useLive({}, TYPES, (events) => {
    pages.reading.follow();
    if (events.some(({ type }) => type.startsWith("connection."))) total.follow();
  });
  return (
    <>
      <div class="screen-head">
        <h1 tabIndex={-1}>
          Connections{" "}
          {total.value.value !== undefined && <span class="soft">{count(total.value.value)}</span>}
        </h1>
        <LiveState of={live} />
      </div>
      <Filters>
        <TextFilter name="q" label="Search" hint="User, device, connection or metadata" />
        <Choice
          name="availability"
          label="State"
          of={[
            ["", "Any"],
            ["online", "Online"],
            ["available", "Available"],
            ["inCall", "In call"],
            ["busy", "Busy"],
            ["away", "Away"],
          ]}
        />
        <Choice
          name="order"
          label="Order"
          of={[
            ["newest", "Newest first"],
            ["oldest", "Oldest first"],
          ]}
        />
      </Filters>
      <PagedTable
        caption="Connections"
        columns={COLUMNS}
        pages={pages}
        total={total.value.value}
        keyOf={({ connectionId }) => connectionId}
        none={counted.q || counted.availability ? "No connection fits." : "Nobody is connected."}
      />
    </>
  );
}

function Rooms({ names }: { names: readonly string[] }) {
  const more = names.length - SHOWN_ROOMS;
  return (
    <>
      {names.slice(0, SHOWN_ROOMS).map((name, at) => (
        <span key={name}>
          {at > 0 && ", "}
          <RoomLink name={name} />
        </span>
      ))}
      {more > 0 && <span class="soft"> and {count(more)} more</span>}
    </>
  );
}
