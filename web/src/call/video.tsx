/** A stream, as an element. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

interface Props {
  readonly stream: MediaStream;
  readonly muted: boolean;
  readonly label: string;
  /** Where its sound comes out; empty for whatever the system uses. */
  readonly speaker?: string;
}

export function Video({ stream, muted, label, speaker = "" }: Props) {
  const element = useRef<HTMLVideoElement>(null);
  useLayoutEffect(() => {
    const video = element.current;
    if (!video) return;
    video.muted = muted; // the attribute alone does not mute an element that was made by a script
    video.srcObject = stream;
    video.play().catch(() => {}); // begins by itself once there is something to play
    return () => {
      video.srcObject = null;
    };
  }, [stream, muted]);
  useEffect(() => {
    const video = element.current;
    if (video && !muted && "setSinkId" in video) video.setSinkId(speaker).catch(() => {}); // unplugged: the system's
  }, [speaker, muted]);
  return <video ref={element} autoplay playsInline muted={muted} aria-label={label} />;
}
