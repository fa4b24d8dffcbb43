/** Beside the grid, or over it on a phone: who is here, and the chat. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Close, Microphone, Send } from "../shared/icons";
import type { Conversation, Line } from "./conversation";
import { nameOf, sends, takesPart } from "./people";

interface Props {
  readonly conversation: Conversation;
}

export function Panel({ conversation, close }: Props & { close: () => void }) {
  return (
    <aside class="panel" aria-label="Chat and people">
      <button type="button" class="quiet panel-close" aria-label="Close chat and people" onClick={close}>
        <Close />
      </button>
      <Roster conversation={conversation} />
      <Log conversation={conversation} />
      <Composer conversation={conversation} />
    </aside>
  );
}

function Roster({ conversation }: Props) {
  const members = conversation.seats.value.map(({ member }) => member);
  return (
    <section class="roster">
      <h2>In this room ({members.length + 1})</h2>
      <ul>
        <li>
          <bdi>{conversation.name.value}</bdi> <span class="soft">you</span>
        </li>
        {members.map((member) => (
          <li key={member.connectionId}>
            <bdi>{nameOf(member)}</bdi>
            {!takesPart(member) && <span class="soft">chat only</span>}
            {takesPart(member) && !sends(member, "audio") && (
              <span class="soft" role="img" aria-label="microphone off">
                <Microphone off />
              </span>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Log({ conversation }: Props) {
  const lines = conversation.lines.value;
  const log = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);

  useLayoutEffect(() => {
    const list = log.current;
    if (list && (atEnd.current || lines.at(-1)?.is === "chat")) list.scrollTop = list.scrollHeight;
  }, [lines]);

  const scrolled = () => {
    const list = log.current;
    if (list) atEnd.current = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  };

  return (
    <section class="chat">
      <h2>Chat</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it by keyboard */}
      <div ref={log} class="log" role="log" aria-label="Chat" tabIndex={0} onScroll={scrolled}>
        {lines.length === 0 && <p class="note">Nothing said yet.</p>}
        <ol>
          {lines.map((line) => (
            <Said key={line.id} line={line} conversation={conversation} />
          ))}
        </ol>
      </div>
    </section>
  );
}

function Said({ line, conversation }: Props & { line: Line }) {
  if (line.is === "note") return <li class="note">{line.text}</li>;
  return (
    <li class={`said${line.own ? " said-own" : ""}`} data-delivery={line.delivery}>
      <span class="said-by">
        <bdi>{line.name}</bdi> <time dateTime={line.time.toISOString()}>{clock(line.time)}</time>
      </span>
      <p dir="auto">{line.text}</p>
      {line.own && <Delivery line={line} again={() => void conversation.postAgain(line.id)} />}
    </li>
  );
}

function Delivery({ line, again }: { line: Line & { is: "chat" }; again: () => void }) {
  if (line.delivery === "sending") return <span class="delivery">Sending…</span>;
  if (line.delivery === "sent") return <span class="delivery">Delivered</span>;
  return (
    <span class="delivery delivery-failed" role="alert">
      Not sent. {line.problem}{" "}
      <button type="button" class="link" onClick={again}>
        Try again
      </button>
    </span>
  );
}

function Composer({ conversation }: Props) {
  const [text, setText] = useState("");

  const submit = (event: Event) => {
    event.preventDefault();
    if (text.trim() === "") return;
    void conversation.post(text.trim());
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

function clock(time: Date): string {
  return time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
