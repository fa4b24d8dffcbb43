/** The tiles of a call: all alike, or one on the stage and the others beside it. */

import type { Call } from "parley-client";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Microphone } from "../shared/icons";
import type { Conversation, Seat } from "./conversation";
import { Invite } from "./invite";
import { type Box, tileSize } from "./layout";
import { CALL_IS_FULL } from "./problems";
import { OWN } from "./speaking";
import { Tile } from "./tile";

interface Props {
  readonly conversation: Conversation;
  readonly call: Call;
}

const GAP = 12;

export function Grid({ conversation, call }: Props) {
  const [pinned, setPinned] = useState<string>();
  const seats = conversation.seats.value;
  const staged = onStage(seats, pinned);
  const { ref, area } = useArea();
  const size = staged ? undefined : tileSize(seats.length + 1, area, GAP);

  useLayoutEffect(() => {
    ref.current?.style.setProperty("--others", String(seats.length));
    if (!size) return;
    ref.current?.style.setProperty("--tile-width", `${size.width}px`);
    ref.current?.style.setProperty("--tile-height", `${size.height}px`);
  }, [ref, size, seats.length]);

  const alone = conversation.alone.value;
  return (
    <>
      <ul
        ref={ref}
        class={staged ? "tiles tiles-staged" : "tiles"}
        data-count={seats.length + 1}
        aria-label="Members of the call"
      >
        {seats.map((seat) => {
          const id = seat.member.connectionId;
          const large = staged?.member.connectionId === id;
          return (
            <Tile
              key={id}
              name={seat.name}
              stream={seat.peer?.stream}
              picture={(seat.video || seat.sharing) && seat.state === "connected"}
              audible={seat.audio}
              speaking={conversation.speaking.now.value.has(id)}
              speaker={conversation.devices.choices.of("audiooutput")}
              status={status(seat)}
              quality={seat.state === "connected" ? seat.quality : undefined}
              sharing={seat.sharing}
              staged={large}
              pin={seats.length > 1 || large ? () => setPinned(large ? NOBODY : id) : undefined}
            />
          );
        })}
        <Tile
          own
          name={conversation.name.value}
          stream={call.local}
          picture={conversation.devices.video.value.on}
          audible={conversation.devices.audio.value.on}
          speaking={conversation.speaking.now.value.has(OWN)}
        />
      </ul>
      {alone && (
        <div class="alone">
          <p>Nobody else is here yet.</p>
          <Invite room={conversation.room.value} prominent />
        </div>
      )}
    </>
  );
}

/** What a user who has closed the stage wants on it, until somebody is put there again. */
const NOBODY = "";

/** Who is on the stage: whom the user has put there, else who shares a screen. */
function onStage(seats: readonly Seat[], pinned: string | undefined): Seat | undefined {
  if (pinned === NOBODY) return undefined;
  return seats.find(({ member }) => member.connectionId === pinned) ?? seats.find(({ sharing }) => sharing);
}

function status({ state }: Seat): string | undefined {
  switch (state) {
    case "connected":
      return undefined;
    case "disconnected":
    case "failed":
      return "Connection lost. Trying again…";
    default:
      return "Connecting…";
  }
}

/** Follow the size of an element. */
function useArea() {
  const ref = useRef<HTMLUListElement>(null);
  const [area, setArea] = useState<Box>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const measure = () => setArea({ width: element.clientWidth, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, []);
  return { ref, area };
}

/** In the place of the tiles, for who is only chatting. */
export function Outside({ conversation }: { conversation: Conversation }) {
  const seats = conversation.seats.value;
  const full = conversation.full.value;
  return (
    <section class="outside" aria-label="The call">
      <h2>{seats.length === 0 ? "Nobody is in the call" : `${seats.length} in the call`}</h2>
      {seats.length > 0 && (
        <ul>
          {seats.map(({ member, name }) => (
            <li key={member.connectionId}>
              <bdi>{name}</bdi>
            </li>
          ))}
        </ul>
      )}
      <p class="hint">
        {full ? CALL_IS_FULL : "You are in the room and can chat. Nobody sees or hears you."}
      </p>
      <button type="button" class="primary" disabled={full} onClick={() => void conversation.stand("call")}>
        <Microphone /> Take part
      </button>
    </section>
  );
}
