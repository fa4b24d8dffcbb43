/** During the call: the grid, the bar below it, and the panel beside it. */

import type { Call } from "parley-client";
import { useEffect, useState } from "preact/hooks";
import { Bubble, Leave, Logo } from "../shared/icons";
import { Banner } from "./banner";
import type { Conversation, Seat } from "./conversation";
import type { Devices } from "./devices";
import { Invite } from "./invite";
import { Panel } from "./panel";
import { nameOf, sends, takesPart } from "./people";
import { Tile } from "./tile";
import { Toggles } from "./toggle";

interface Props {
  readonly conversation: Conversation;
  readonly devices: Devices;
  readonly call: Call;
}

export function CallView({ conversation, devices, call }: Props) {
  const [panel, setPanel] = useState(() => window.matchMedia("(min-width: 60rem)").matches);
  const unread = conversation.unread.value;
  const room = conversation.room.value;

  useEffect(() => {
    document.title = `${room} · Parley`;
    return () => {
      document.title = "Parley";
    };
  }, [room]);
  useEffect(() => {
    if (panel) conversation.unread.value = 0;
  }, [panel, unread, conversation]);

  return (
    <div class={`call${panel ? " call-with-panel" : ""}`}>
      <header class="call-head">
        <Logo />
        <h1>
          <bdi>{room}</bdi>
        </h1>
        <Invite room={room} />
      </header>
      <Banner state={conversation.connection.value} />
      <main class="stage">
        <Grid conversation={conversation} devices={devices} call={call} />
      </main>
      {panel && <Panel conversation={conversation} close={() => setPanel(false)} />}
      <footer class="call-foot">
        <fieldset class="bar" aria-label="Call controls">
          <Toggles conversation={conversation} devices={devices} />
          <button
            type="button"
            class="round"
            aria-expanded={panel}
            aria-label={unread > 0 && !panel ? `Chat and people, ${unread} unread` : "Chat and people"}
            title="Chat and people"
            onClick={() => setPanel(!panel)}
          >
            <Bubble />
            {unread > 0 && !panel && (
              <span class="badge" aria-hidden="true">
                {unread > 99 ? "99+" : unread}
              </span>
            )}
          </button>
          <button
            type="button"
            class="round round-leave"
            aria-label="Leave"
            title="Leave"
            onClick={() => void conversation.leave()}
          >
            <Leave />
          </button>
        </fieldset>
      </footer>
    </div>
  );
}

function Grid({ conversation, devices, call }: Props) {
  const seats = conversation.seats.value.filter(({ member }) => takesPart(member));
  return (
    <ul class="grid" data-count={Math.min(seats.length + 1, 9)} aria-label="Members of the call">
      {seats.map((seat) => (
        <Tile
          key={seat.member.connectionId}
          name={nameOf(seat.member)}
          stream={seat.peer?.stream}
          picture={sends(seat.member, "video") && seat.state === "connected"}
          audible={sends(seat.member, "audio")}
          status={status(seat)}
        />
      ))}
      <Tile
        own
        name={conversation.name.value}
        stream={call.local}
        picture={devices.video.value.on}
        audible={devices.audio.value.on}
        status={
          conversation.alone.value ? "Nobody else is here yet. Copy the link and send it to them." : undefined
        }
      />
    </ul>
  );
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
