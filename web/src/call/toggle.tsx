/** The buttons for microphone and camera, in the lobby and in the call. */

import { Camera, Microphone } from "../shared/icons";
import type { Conversation } from "./conversation";
import type { Devices } from "./devices";

interface Props {
  readonly conversation: Conversation;
  readonly devices: Devices;
}

export function Toggles({ conversation, devices }: Props) {
  const audio = devices.audio.value.on;
  const video = devices.video.value.on;
  return (
    <>
      <button
        type="button"
        class={`round${audio ? "" : " round-off"}`}
        aria-label={audio ? "Mute microphone" : "Unmute microphone"}
        title={audio ? "Mute microphone" : "Unmute microphone"}
        onClick={() => void conversation.toggle("audio")}
      >
        <Microphone off={!audio} />
      </button>
      <button
        type="button"
        class={`round${video ? "" : " round-off"}`}
        aria-label={video ? "Turn camera off" : "Turn camera on"}
        title={video ? "Turn camera off" : "Turn camera on"}
        onClick={() => void conversation.toggle("video")}
      >
        <Camera off={!video} />
      </button>
    </>
  );
}
