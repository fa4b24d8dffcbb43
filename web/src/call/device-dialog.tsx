/** Choose camera, microphone and speaker, and see and hear that they work. */

import { useEffect, useState } from "preact/hooks";
import { Dialog } from "../shared/dialog";
import { Keyboard, Speaker } from "../shared/icons";
import { CAN_CHOOSE_SPEAKER, type Role } from "./choices";
import type { Conversation } from "./conversation";
import { Level } from "./level";
import { chime } from "./meter";
import { Video } from "./video";

interface Props {
  readonly conversation: Conversation;
  readonly close: () => void;
  /** Where shortcuts apply, the way to their list. */
  readonly showShortcuts?: () => void;
}

export function DeviceDialog({ conversation, close, showShortcuts }: Props) {
  const { devices } = conversation;

  useEffect(() => {
    void devices.choices.look();
  }, [devices]);

  return (
    <Dialog title="Camera, microphone, speaker" close={close} closeLabel="Close">
      <div class={`device-picture${devices.video.value.on ? "" : " tile-blank"}`}>
        {devices.video.value.on ? (
          <Video stream={devices.stream} muted label="Your own picture" />
        ) : (
          <span>The camera is off</span>
        )}
      </div>
      <Choice conversation={conversation} of="videoinput" label="Camera" />
      <div class="field">
        <Choice conversation={conversation} of="audioinput" label="Microphone" />
        <Level devices={devices} />
        {!devices.audio.value.on && <p class="hint">The microphone is off.</p>}
      </div>
      <Output conversation={conversation} />
      {devices.problems.value.map((problem) => (
        <p class="problem" role="alert" key={problem}>
          {problem}
        </p>
      ))}
      <div class="dialog-foot">
        {showShortcuts && (
          <button type="button" class="quiet" onClick={showShortcuts}>
            <Keyboard /> Keyboard shortcuts
          </button>
        )}
        <button type="button" class="primary" onClick={close}>
          Done
        </button>
      </div>
    </Dialog>
  );
}

function Choice({ conversation, of, label }: { conversation: Conversation; of: Role; label: string }) {
  const { choices } = conversation.devices;
  const list = choices.lists.value[of];
  return (
    <label class="field">
      <span>{label}</span>
      <select
        value={choices.of(of)}
        onChange={(event) => void conversation.choose(of, event.currentTarget.value)}
      >
        <option value="">{list.length === 0 ? "None found" : "System default"}</option>
        {list.map((device) => (
          <option key={device.id} value={device.id}>
            {device.label}
          </option>
        ))}
      </select>
    </label>
  );
}

function Output({ conversation }: { conversation: Conversation }) {
  const [problem, setProblem] = useState("");
  const speaker = conversation.devices.choices.of("audiooutput");

  const test = () => {
    setProblem("");
    chime(speaker).catch(() => setProblem("This speaker does not play. Choose another one."));
  };

  return (
    <div class="field">
      {CAN_CHOOSE_SPEAKER && <Choice conversation={conversation} of="audiooutput" label="Speaker" />}
      <button type="button" class="secondary" onClick={test}>
        <Speaker /> Play a sound
      </button>
      {problem && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}
