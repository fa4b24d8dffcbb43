/** After the call: how it was. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Logo } from "../shared/icons";
import type { Conversation, Summary } from "./conversation";
import { hue, initials } from "./people";
import { qualityWord } from "./quality";

interface Props {
  readonly conversation: Conversation;
  readonly reason: string;
  readonly summary: Summary;
}

export function Farewell({ conversation, reason, summary }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const [rejoining, setRejoining] = useState(false);
  useLayoutEffect(() => heading.current?.focus(), []); // the button that had the focus is gone

  return (
    <main class="farewell">
      <div class="farewell-card">
        <Logo />
        <h1 ref={heading} tabIndex={-1}>
          {reason}
        </h1>
        <p class="hint">
          The room was <bdi>{conversation.room.value}</bdi>.
        </p>
        <dl class="farewell-facts">
          <Fact name="Duration" value={duration(summary.durationMs)} />
          <Fact name="Sent" value={amount(summary.bytesSent)} />
          <Fact name="Received" value={amount(summary.bytesReceived)} />
        </dl>
        {summary.people.length > 0 && (
          <section class="farewell-people" aria-label="Who was in the call with you">
            <h2>With you in the call</h2>
            <ul>
              {summary.people.map(({ id, name, score }) => (
                <li class="person" key={id}>
                  <span class="face" data-hue={hue(name)} aria-hidden="true">
                    {initials(name)}
                  </span>
                  <span class="person-name">
                    <bdi>{name}</bdi>
                    {score && <span class="person-note">{qualityWord(score)} connection</span>}
                  </span>
                </li>
              ))}
            </ul>
          </section>
        )}
        <div class="farewell-buttons">
          <button
            type="button"
            class="primary"
            disabled={rejoining}
            onClick={() => {
              setRejoining(true);
              void conversation.rejoin();
            }}
          >
            {rejoining ? "Rejoining…" : "Rejoin"}
          </button>
          <button
            type="button"
            class="secondary"
            onClick={() => {
              conversation.phase.value = { at: "lobby" };
            }}
          >
            Back to the lobby
          </button>
        </div>
      </div>
    </main>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function amount(bytes: number): string {
  if (bytes < 1_000_000) return `${Math.round(bytes / 1000)} KB`;
  if (bytes < 1_000_000_000) return `${(bytes / 1_000_000).toFixed(1)} MB`;
  return `${(bytes / 1_000_000_000).toFixed(2)} GB`;
}
