/** The chat: its lines, older ones as one scrolls up, and where one writes. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Send } from "../shared/icons";
import type { ChatLog, Line } from "./chat-log";
import type { Conversation } from "./conversation";

interface Props {
  readonly chat: ChatLog;
}

/** How near to an end of the log one is taken to be at it, in pixels. */
const NEAR = 60;
/** Words of one and the same within this time stand under one name. */
const TOGETHER_MS = 5 * 60_000;

export function ChatView({ conversation: { chat } }: { conversation: Conversation }) {
  return (
    <section class="chat" aria-label="Chat of this room">
      <Log chat={chat} />
      <Composer chat={chat} />
    </section>
  );
}

function Log({ chat }: Props) {
  const lines = chat.lines.value;
  const older = chat.older.value;
  const log = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const before = useRef({ first: lines[0]?.id, height: 0 });

  useLayoutEffect(() => {
    const list = log.current;
    if (!list) return;
    const last = lines.at(-1);
    const grewAbove = before.current.height > 0 && before.current.first !== lines[0]?.id;
    if (atEnd.current || (last?.is === "chat" && last.delivery === "sending"))
      list.scrollTop = list.scrollHeight;
    else if (grewAbove) list.scrollTop += list.scrollHeight - before.current.height; // what is read stays where it is
    before.current = { first: lines[0]?.id, height: list.scrollHeight };
  }, [lines]);

  const scrolled = () => {
    const list = log.current;
    if (!list) return;
    atEnd.current = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
    if (list.scrollTop < NEAR && !atEnd.current && chat.older.value === "more") void chat.loadOlder();
  };

  return (
    // what comes is said by the page's announcer, whether or not this panel is open
    <div
      ref={log}
      class="log"
      role="log"
      aria-live="off"
      aria-label="Messages"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it by keyboard
      tabIndex={0}
      onScroll={scrolled}
    >
      <Earlier chat={chat} />
      {lines.length === 0 && older !== "loading" && <p class="note">Nothing said yet.</p>}
      <ol>
        {lines.map((line, index) => (
          <Entry key={line.id} line={line} before={lines[index - 1]} chat={chat} />
        ))}
      </ol>
    </div>
  );
}

function Earlier({ chat }: Props) {
  switch (chat.older.value) {
    case "loading":
      return <p class="note">Reading what was said earlier…</p>;
    case "none":
      return null;
    case "more":
      return (
        <button type="button" class="quiet earlier" onClick={() => void chat.loadOlder()}>
          Show earlier messages
        </button>
      );
    case "failed":
      return (
        <p class="note">
          What was said earlier can't be read just now.{" "}
          <button type="button" class="link" onClick={() => void chat.loadOlder()}>
            Try again
          </button>
        </p>
      );
  }
}

function Entry({ line, before, chat }: Props & { line: Line; before: Line | undefined }) {
  if (line.is === "note") return <li class="note">{line.text}</li>;
  const spoken = before?.is === "chat" ? before : undefined;
  const newDay = spoken?.time.toDateString() !== line.time.toDateString() && line.time.toDateString();
  const together =
    !newDay &&
    spoken?.name === line.name &&
    spoken.own === line.own &&
    line.time.getTime() - spoken.time.getTime() < TOGETHER_MS;
  return (
    <>
      {newDay && !isToday(line.time) && <li class="day">{day(line.time)}</li>}
      <li
        class={`said${line.own ? " said-own" : ""}${together ? " said-on" : ""}`}
        data-delivery={line.delivery}
      >
        <span class={`said-by${together ? " unseen" : ""}`}>
          <bdi>{line.name}</bdi> <time dateTime={line.time.toISOString()}>{clock(line.time)}</time>
        </span>
        <p dir="auto">{line.text}</p>
        {line.own && <Delivery line={line} again={() => void chat.postAgain(line.id)} />}
      </li>
    </>
  );
}

function Delivery({ line, again }: { line: Line & { is: "chat" }; again: () => void }) {
  if (line.delivery === "sending") return <span class="delivery">Sending…</span>;
  if (line.delivery === "sent") return <span class="delivery">Delivered</span>;
  return (
    <span class="delivery delivery-failed">
      Not sent. {line.problem}{" "}
      <button type="button" class="link" onClick={again}>
        Try again
      </button>
    </span>
  );
}

function Composer({ chat }: Props) {
  const [text, setText] = useState("");

  const submit = (event: Event) => {
    event.preventDefault();
    if (text.trim() === "") return;
    void chat.post(text.trim());
    setText("");
  };

  return (
    <form class="composer" onSubmit={submit}>
      <input
        name="message"
        aria-label="Message to everybody in the room"
        placeholder="Write to everybody"
        value={text}
        maxLength={4000}
        autocomplete="off"
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button
        type="submit"
        class="round round-small"
        aria-label="Send"
        title="Send"
        disabled={text.trim() === ""}
      >
        <Send />
      </button>
    </form>
  );
}

function isToday(time: Date): boolean {
  return time.toDateString() === new Date().toDateString();
}

function day(time: Date): string {
  return time.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

function clock(time: Date): string {
  return time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
