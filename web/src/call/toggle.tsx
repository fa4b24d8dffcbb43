/** The buttons for microphone and camera, in the lobby and in the call. */

import { Camera, Microphone } from "../shared/icons";
import type { Conversation } from "./conversation";
import { Round } from "./round";

export function Toggles({ conversation }: { conversation: Conversation }) {
  const { devices } = conversation;
  const audio = devices.audio.value.on;
  const video = devices.video.value.on;
  return (
    <>
      <Round
        name={audio ? "Mute microphone" : "Unmute microphone"}
        shortcut="M"
        off={!audio}
        press={() => void conversation.toggle("audio")}
      >
        <Microphone off={!audio} />
      </Round>
      <Round
        name={video ? "Turn camera off" : "Turn camera on"}
        shortcut="V"
        off={!video}
        press={() => void conversation.toggle("video")}
      >
        <Camera off={!video} />
      </Round>
    </>
  );
}
