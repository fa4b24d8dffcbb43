/** One connection: what it says about itself, what it does, and a way to end it. */

import { useState } from "preact/hooks";
import type { Connection as Answer, Frame } from "../answers";
import * as api from "../api";
import { bytes, NONE } from "../format";
import { known, nameOf } from "../names";
import { Age, Time } from "../parts/clock";
import { Confirm } from "../parts/confirm";
import { Table } from "../parts/table";
import { HAPPENINGS, Timeline } from "../parts/timeline";
import { Availability, Badge, Fields, RoomLink, Section, Trouble, Value } from "../parts/words";
import { useReading } from "../reading";
import { href } from "../router";

const EVERY_MS = 10_000;
const FRAMES_MS = 2000;
const FEW = 10;
const GONE = 404;

export function Connection({ id }: { id: string }) {
  const reading = useReading((ending) => api.connection(id, ending), [id], EVERY_MS);
  const connection = reading.value.value;
  const problem = reading.problem.value;
  const gone = problem?.status === GONE;
  const name = nameOf(connection?.userId, connection?.metadata) ?? known(id) ?? id;
  return (
    <>
      <p class="crumbs">
        <a href={href("connections")}>Connections</a>
      </p>
      <div class="screen-head">
        <h1 tabIndex={-1}>
          <bdi>{name}</bdi>{" "}
          {gone ? <Badge>ended</Badge> : connection && <Availability value={connection.availability} />}
        </h1>
        {connection && !gone && (
          <Confirm
            button="Disconnect"
            question={`Disconnect ${name}?`}
            yes="Disconnect"
            act={async () => {
              await api.disconnect(id);
              reading.follow();
            }}
          >
            <p>
              It leaves its rooms and calls at once, and its socket is closed. A program that keeps to the
              protocol does not come back by itself.
            </p>
          </Confirm>
        )}
      </div>
      {gone ? (
        <p class="none">
          There is no connection {id} now: it has ended. What it did in the last hour stands below, as long as
          the log keeps it.
        </p>
      ) : (
        <Trouble problem={problem} />
      )}
      {connection && <Facts of={connection} />}
      {!gone && <Frames id={id} />}
      <Timeline
        title="What happened"
        query={{ connection: id, since: "1h" }}
        types={HAPPENINGS}
        none="Nothing in the last hour."
        onEvents={() => reading.follow()}
      />
    </>
  );
}

function Facts({ of }: { of: Answer }) {
  const metadata = Object.entries(of.metadata);
  return (
    <div class="columns">
      <Section title="Connection">
        <Fields
          as="rows"
          of={[
            ["Connection", <code key="id">{of.connectionId}</code>],
            ["User", of.userId && <bdi>{of.userId}</bdi>],
            ["Device", of.deviceId && <bdi>{of.deviceId}</bdi>],
            ["Since", <Connected key="since" iso={of.connectedAt} />],
            ["Rooms", of.rooms.length > 0 && <RoomList names={of.rooms} />],
            ["Protocol", of.dialect],
            ["Address", of.address && <code>{of.address}</code>],
            ["Program", of.userAgent && <bdi>{of.userAgent}</bdi>],
          ].map(([name, value]) => [name as string, value || NONE] as const)}
        />
      </Section>
      <Section title="Metadata">
        {metadata.length === 0 ? (
          <p class="none">It says nothing about itself.</p>
        ) : (
          <Fields
            as="rows"
            of={metadata.map(([name, value]) => [name, <Value key={name} of={value} />] as const)}
          />
        )}
      </Section>
    </div>
  );
}

const Connected = ({ iso }: { iso: string }) => (
  <>
    <Time iso={iso} />, <Age iso={iso} /> ago
  </>
);

const RoomList = ({ names }: { names: readonly string[] }) => (
  <ul class="room-list">
    {names.map((name) => (
      <li key={name}>
        <RoomLink name={name} />
      </li>
    ))}
  </ul>
);

function Frames({ id }: { id: string }) {
  const reading = useReading((ending) => api.frames(id, ending), [id], FRAMES_MS);
  const frames = reading.value.value?.items;
  const [all, show] = useState(false);
  return (
    <Section title="Recent frames" aside={<p class="hint">the last fifty, without what they carry</p>}>
      <Trouble problem={reading.problem.value} />
      {frames?.length === 0 && <p class="none">No frame yet.</p>}
      {frames && frames.length > 0 && <Routes of={frames} />}
      {frames && frames.length > 0 && (
        <Table<Frame>
          caption="Recent frames, the latest first"
          items={all ? frames : frames.slice(0, FEW)}
          keyOf={(frame) => `${frame.time} ${frame.direction} ${frame.route} ${frame.ref}`}
          columns={[
            { name: "Route", cell: ({ route }) => <code>{route}</code> },
            { name: "Direction", cell: ({ direction }) => (direction === "in" ? "from it" : "to it") },
            { name: "Size", cell: (frame) => bytes(frame.bytes), as: "number" },
            { name: "Ref", cell: ({ ref }) => ref && <code class="soft">{ref}</code>, as: "minor" },
            { name: "Time", cell: ({ time }) => <Time iso={time} />, as: "number" },
          ]}
        />
      )}
      {frames && frames.length > FEW && (
        <button type="button" class="button" aria-expanded={all} onClick={() => show(!all)}>
          {all ? "Fewer" : `All ${frames.length}`}
        </button>
      )}
    </Section>
  );
}

/** How many of each route there are among the recent ones. */
function Routes({ of }: { of: readonly Frame[] }) {
  const counts = new Map<string, number>();
  for (const { route, direction } of of) {
    const name = `${direction === "in" ? "from" : "to"} it: ${route}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return (
    <ul class="routes" aria-label="Frames by route">
      {[...counts].map(([name, frames]) => (
        <li key={name}>
          {name} <b>{frames}</b>
        </li>
      ))}
    </ul>
  );
}
