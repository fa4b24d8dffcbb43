/** Before the call: who one is, which room, and how one looks. */

import { useEffect, useRef, useState } from "preact/hooks";
import { Logo, Settings } from "../shared/icons";
import type { Conversation } from "./conversation";
import { DeviceDialog } from "./device-dialog";
import { Level } from "./level";
import { hue, initials } from "./people";
import { suggestRoom } from "./room-names";
import { Round } from "./round";
import { Toggles } from "./toggle";
import { Video } from "./video";

interface Props {
  readonly conversation: Conversation;
  readonly joining: boolean;
}

export function Lobby({ conversation, joining }: Props) {
  const { devices } = conversation;
  const [name, setName] = useState(conversation.name.value);
  const [room, setRoom] = useState(() => conversation.room.value || suggestRoom());
  const form = useRef<HTMLFormElement>(null);
  const invited = conversation.address.room !== "";
  const phase = conversation.phase.value;
  const problem = phase.at === "lobby" ? phase.problem : undefined;

  useEffect(() => {
    void devices.openAll();
  }, [devices]);

  const join = (takePart: boolean) => {
    if (form.current?.reportValidity()) void conversation.join(name.trim(), room.trim(), takePart);
  };

  return (
    <div class="lobby">
      <header class="brand">
        <Logo />
        <span>Parley</span>
      </header>
      <main class="lobby-main">
        <Preview conversation={conversation} name={name} />
        <form
          ref={form}
          class="lobby-form"
          onSubmit={(event) => {
            event.preventDefault();
            join(true);
          }}
        >
          <div class="lobby-title">
            <h1>{invited ? "You are invited to a call" : "Start or join a call"}</h1>
            <p class="hint">Whoever knows the room's name can come in. Inside you can copy a link to send.</p>
          </div>
          <label class="field">
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
          <label class="field">
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
          <div class="lobby-buttons">
            <button type="submit" class="primary" disabled={joining}>
              {joining ? "Joining…" : devices.useless.value ? "Join to watch and listen" : "Join the call"}
            </button>
            {joining ? (
              <button type="button" class="secondary" onClick={() => conversation.giveUp()}>
                Cancel
              </button>
            ) : (
              <button type="button" class="secondary" onClick={() => join(false)}>
                Chat only
              </button>
            )}
          </div>
          <div role="status">
            {joining && conversation.connection.value === "reconnecting" && (
              <p class="problem">
                The server does not answer. Trying again by itself; look whether you are online.
              </p>
            )}
          </div>
        </form>
      </main>
    </div>
  );
}

function Preview({ conversation, name }: { conversation: Conversation; name: string }) {
  const [choosing, setChoosing] = useState(false);
  const { devices } = conversation;
  const { opening, problems, video } = devices;
  return (
    <section class="preview" aria-label="Your camera and microphone">
      <div class={`preview-picture${video.value.on ? "" : " tile-blank"}`} data-hue={hue(name)}>
        {/* never without a track: a page with an empty stream in it does not finish loading */}
        {video.value.on && <Video stream={devices.stream} muted label="Your own picture" />}
        {!video.value.on && !opening.value && (
          <span class="tile-initials" aria-hidden="true">
            {initials(name) || "?"}
          </span>
        )}
        {opening.value && <span class="preview-wait">Waiting for camera and microphone…</span>}
        <div class="preview-controls">
          <Toggles conversation={conversation} />
          <Round name="Choose devices" press={() => setChoosing(true)}>
            <Settings />
          </Round>
        </div>
      </div>
      <Level devices={devices} />
      <div role="status">
        {problems.value.map((problem) => (
          <p class="problem" key={problem}>
            {problem}
          </p>
        ))}
      </div>
      {choosing && <DeviceDialog conversation={conversation} close={() => setChoosing(false)} />}
    </section>
  );
}
