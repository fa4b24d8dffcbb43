/** Beside the tiles, or over them on a phone: the chat, or who is here. */

import { useLayoutEffect, useRef } from "preact/hooks";
import { Close } from "../shared/icons";
import { ChatView } from "./chat-view";
import type { Conversation } from "./conversation";
import { Roster } from "./roster";

export type Tab = "chat" | "people";

const TITLES = { chat: "Chat", people: "People" } as const;

interface Props {
  readonly conversation: Conversation;
  readonly tab: Tab;
  readonly show: (tab: Tab) => void;
  readonly close: () => void;
}

export function Panel({ conversation, tab, show, close }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);

  // to where the user asked to go; what stands open from the start takes nobody's focus. With the panel, not a frame
  // later: who is quick has begun to write by then
  useLayoutEffect(() => {
    const beside = getComputedStyle(heading.current?.closest(".panel") ?? document.body).position !== "fixed";
    if (!(first.current && beside && document.activeElement === document.body)) heading.current?.focus();
    first.current = false;
  }, [tab]);

  return (
    <aside
      class="panel"
      aria-label={TITLES[tab]}
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
      }}
    >
      <header class="panel-head">
        <h2 ref={heading} tabIndex={-1}>
          {TITLES[tab]}
        </h2>
        <button
          type="button"
          class="quiet panel-other"
          onClick={() => show(tab === "chat" ? "people" : "chat")}
        >
          {tab === "chat" ? "People" : "Chat"}
        </button>
        <button type="button" class="quiet" aria-label={`Close ${TITLES[tab].toLowerCase()}`} onClick={close}>
          <Close />
        </button>
      </header>
      {tab === "chat" ? <ChatView conversation={conversation} /> : <Roster conversation={conversation} />}
    </aside>
  );
}
