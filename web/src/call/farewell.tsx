/** After the call. */

import { useEffect, useRef } from "preact/hooks";
import { Logo } from "../shared/icons";
import type { Conversation } from "./conversation";

export function Farewell({ conversation, reason }: { conversation: Conversation; reason: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []); // the button that had the focus is gone

  return (
    <main class="farewell">
      <Logo />
      <h1 ref={heading} tabIndex={-1}>
        {reason}
      </h1>
      <p class="hint">
        The room was <bdi>{conversation.room.value}</bdi>.
      </p>
      <button
        type="button"
        class="primary"
        onClick={() => {
          conversation.phase.value = { at: "lobby" };
        }}
      >
        Back to the lobby
      </button>
    </main>
  );
}
