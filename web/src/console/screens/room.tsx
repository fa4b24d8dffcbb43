/** One room: who is in it, and what happens in it. */

import type { Member } from "../answers";
import * as api from "../api";
import { count, duration, NONE } from "../format";
import { Age, Time } from "../parts/clock";
import { Table } from "../parts/table";
import { HAPPENINGS, Timeline } from "../parts/timeline";
import { Availability, Badge, Fields, Person, Section, Trouble } from "../parts/words";
import { useReading } from "../reading";
import { href } from "../router";

const EVERY_MS = 10_000;
const GONE = 404;
const EARLIER = 10;

export function Room({ name }: { name: string }) {
  const reading = useReading((ending) => api.room(name, ending), [name], EVERY_MS);
  const calls = useReading(
    (ending) => api.calls({ room: name, limit: EARLIER }, ending),
    [name],
    6 * EVERY_MS,
  );
  const room = reading.value.value;
  const problem = reading.problem.value;
  const empty = problem?.status === GONE;
  return (
    <>
      <p class="crumbs">
        <a href={href("rooms")}>Rooms</a>
      </p>
      <div class="screen-head">
        <h1 tabIndex={-1}>
          <bdi>{name}</bdi> {empty ? <Badge>empty</Badge> : room?.call && <Badge tone="good">in call</Badge>}
        </h1>
        <a class="button" href={href("messages", undefined, { room: name })}>
          Messages
        </a>
      </div>
      {empty ? <p class="none">Nobody is in this room now.</p> : <Trouble problem={problem} />}
      <div class="columns">
        <div>
          {room && !empty && (
            <Section title={`Members (${count(room.members.length)})`}>
              <Table<Member>
                caption="Members, the earliest first"
                items={room.members}
                keyOf={({ connectionId }) => connectionId}
                columns={MEMBERS}
              />
              <Fields
                of={[
                  ["Open", <Age key="open" iso={room.openedAt} />],
                  [
                    "Call",
                    room.call ? (
                      <a key="call" href={href("calls", room.call.id)}>
                        {count(room.call.participants.length)} for <Age iso={room.call.startedAt} />
                      </a>
                    ) : (
                      NONE
                    ),
                  ],
                  ["Position", count(room.position)],
                  ["Epoch", <code key="epoch">{room.epoch}</code>],
                ]}
              />
            </Section>
          )}
          <Section title="Calls">
            <Trouble problem={calls.problem.value} />
            {calls.value.value?.items.length === 0 && <p class="none">No call yet.</p>}
            <ul class="links">
              {calls.value.value?.items.map((call) => (
                <li key={call.id}>
                  <a href={href("calls", call.id)}>
                    <Time iso={call.startedAt} />
                  </a>{" "}
                  <span class="soft">
                    {call.state === "active" ? "lasts" : duration(call.durationMs ?? 0)},{" "}
                    {call.participants.length} took part
                  </span>
                </li>
              ))}
            </ul>
          </Section>
        </div>
        <Timeline
          title="What happens"
          query={{ room: name, since: "1h" }}
          types={HAPPENINGS}
          none="Nothing in the last hour."
          onEvents={(events) => {
            reading.follow();
            if (events.some(({ type }) => type === "call.started" || type === "call.ended")) calls.follow();
          }}
        />
      </div>
    </>
  );
}

const MEMBERS = [
  { name: "Who", cell: (member: Member) => <Person {...member} />, as: "wide" },
  { name: "State", cell: ({ availability }: Member) => <Availability value={availability} /> },
  { name: "In it", cell: ({ joinedAt }: Member) => <Age iso={joinedAt} />, as: "number" },
  { name: "Device", cell: ({ deviceId }: Member) => deviceId && <bdi>{deviceId}</bdi>, as: "minor" },
] as const;
