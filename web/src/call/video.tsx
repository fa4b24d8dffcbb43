/** A stream, as an element. */

import { useLayoutEffect, useRef } from "preact/hooks";

export function Video({ stream, muted, label }: { stream: MediaStream; muted: boolean; label: string }) {
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
  return <video ref={element} autoplay playsInline muted={muted} aria-label={label} />;
}
