/** Before the call: who one is, which room, and how one looks. */

import { useEffect, useState } from "preact/hooks";
import { Logo } from "../shared/icons";
import type { Conversation } from "./conversation";
import type { Devices } from "./devices";
import { initials } from "./people";
import { suggestRoom } from "./room-names";
import { Toggles } from "./toggle";
import { Video } from "./video";

interface Props {
  readonly conversation: Conversation;
  readonly devices: Devices;
  readonly joining: boolean;
}

export function Lobby({ conversation, devices, joining }: Props) {
  const [name, setName] = useState(conversation.name.value);
  const [room, setRoom] = useState(() => conversation.room.value || suggestRoom());
  const invited = conversation.address.room !== "";
  const phase = conversation.phase.value;
  const problem = phase.at === "lobby" ? phase.problem : undefined;

  useEffect(() => {
    void devices.openAll();
  }, [devices]);

  const submit = (event: Event) => {
    event.preventDefault();
    void conversation.join(name.trim(), room.trim());
  };

  return (
    <main class="lobby">
      <header class="brand">
        <Logo />
        <span>Parley</span>
      </header>
      <Preview conversation={conversation} devices={devices} name={name} />
      <form class="lobby-form" onSubmit={submit}>
        <h1>{invited ? "You are invited to a call" : "Start or join a call"}</h1>
        <label>
          <span>Your name</span>
          <input
            name="name"
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            required
            maxLength={64}
            pattern=".*\S.*"
            autocomplete="name"
            placeholder="How the others see you"
          />
        </label>
        <label>
          <span>Room</span>
          <input
            name="room"
            value={room}
            onInput={(event) => setRoom(event.currentTarget.value)}
            required
            maxLength={120}
            pattern=".*\S.*"
            autocomplete="off"
            spellcheck={false}
          />
        </label>
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="primary" disabled={joining}>
          {joining ? "Joining…" : devices.useless.value ? "Join with chat only" : "Join"}
        </button>
        {joining && conversation.connection.value === "reconnecting" && (
          <p class="problem" role="status">
            The server does not answer. Trying again…
          </p>
        )}
        <p class="hint">Whoever knows the room's name can join it. You can send them the link from inside.</p>
      </form>
    </main>
  );
}

function Preview({ conversation, devices, name }: Omit<Props, "joining"> & { name: string }) {
  const { opening, problems, video } = devices;
  return (
    <section class="preview" aria-label="Your camera and microphone">
      <div class={`preview-picture${video.value.on ? "" : " tile-blank"}`}>
        {/* never without a track: a page with an empty stream in it does not finish loading */}
        {video.value.on && <Video stream={devices.stream} muted label="Your own picture" />}
        {!video.value.on && (
          <span class="tile-initials" aria-hidden="true">
            {opening.value ? "" : initials(name) || "?"}
          </span>
        )}
        {opening.value && <span class="tile-status">Waiting for camera and microphone…</span>}
        <div class="preview-controls">
          <Toggles conversation={conversation} devices={devices} />
        </div>
      </div>
      <div role="status">
        {problems.value.map((problem) => (
          <p class="hint" key={problem}>
            {problem}
          </p>
        ))}
      </div>
    </section>
  );
}
