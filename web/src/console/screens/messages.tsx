/** What was said, in all rooms. */

import type { Message } from "../answers";
import * as api from "../api";
import { useLive } from "../live";
import { usePages } from "../pages";
import { Time } from "../parts/clock";
import { Choice, Filters, filter, SPAN_WORDS, since, TextFilter } from "../parts/filters";
import { LiveState } from "../parts/live-state";
import { type Column, PagedTable } from "../parts/table";
import { Person, RoomLink } from "../parts/words";

const EVERY_MS = 10_000;

const COLUMNS: readonly Column<Message>[] = [
  { name: "Time", cell: ({ time }) => <Time iso={time} /> },
  { name: "Room", cell: ({ room }) => <RoomLink name={room} /> },
  {
    name: "Who",
    cell: ({ from, userId }) =>
      from ? <Person connectionId={from} userId={userId} /> : <Backend name={userId} />,
  },
  { name: "Text", cell: ({ text }) => <bdi class="message">{text}</bdi>, as: "wide" },
];

export function Messages() {
  const room = filter("room");
  const span = filter("span");
  const query = { q: filter("q"), sender: filter("sender"), from: since(span) };
  const pages = usePages(
    (asked, ending) => {
      const { room: name, ...rest } = asked;
      return typeof name === "string" && name
        ? api.roomMessages(name, rest, ending)
        : api.messages(rest, ending);
    },
    { ...query, room },
    EVERY_MS,
  );
  const live = useLive({}, ["message.posted"], () => pages.reading.follow());
  return (
    <>
      <div class="screen-head">
        <h1 tabIndex={-1}>Messages</h1>
        <LiveState of={live} />
      </div>
      <Filters>
        <TextFilter name="q" label="Search" hint={'Words, part of a text, or "an exact phrase"'} />
        <TextFilter name="room" label="Room" hint="Its whole name" />
        <TextFilter name="sender" label="Sender" hint="User or connection" />
        <Choice name="span" label="Said" of={SPAN_WORDS} />
      </Filters>
      <PagedTable
        caption="Messages, the latest first"
        columns={COLUMNS}
        pages={pages}
        keyOf={({ room: name, epoch, position }) => `${epoch} ${position} ${name}`}
        none={query.q || query.sender || room || span ? "No message fits." : "Nothing has been said yet."}
      />
    </>
  );
}

const Backend = ({ name }: { name: string | null }) => (
  <>
    {name && <bdi>{name}</bdi>} <span class="soft">a backend</span>
  </>
);
