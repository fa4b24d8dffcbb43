/** Small pieces that every screen uses. Names and values are strangers': always text, in their own direction. */

import type { ComponentChildren } from "preact";
import type { Metadata } from "../answers";
import type { Problem } from "../api";
import { NONE } from "../format";
import { href } from "../router";

/** What is said in place of what could not be read. */
export function Trouble({ problem }: { problem: Problem | undefined }) {
  if (!problem) return null;
  return (
    <p class="trouble" role="alert">
      {sentence(problem)}
    </p>
  );
}

/** A path without an owner is an older server, not a missing thing. */
function sentence({ status, message }: Problem): string {
  return status === 404 && message.startsWith("There is nothing at this path")
    ? "This server does not offer this yet: it is older than the console."
    : message;
}

export type Tone = "good" | "fair" | "poor" | "plain";

/** A state in one word. The word says it, the colour only helps. */
export const Badge = ({ tone = "plain", children }: { tone?: Tone; children: ComponentChildren }) => (
  <span class={`state state-${tone}`}>{children}</span>
);

const TONES: Readonly<Record<string, Tone>> = {
  available: "good",
  inCall: "good",
  online: "plain",
  busy: "fair",
  away: "fair",
};

export const Availability = ({ value }: { value: string }) => (
  <Badge tone={TONES[value] ?? "plain"}>{value === "inCall" ? "in call" : value}</Badge>
);

/** Whom a connection belongs to, as far as it has said: its user, or the name that it calls itself. */
export function nameOf(userId: string | null | undefined, metadata?: Metadata): string | undefined {
  const called = metadata?.name;
  return userId || (typeof called === "string" && called) || undefined;
}

interface PersonProps {
  readonly connectionId: string;
  readonly userId?: string | null | undefined;
  readonly metadata?: Metadata | undefined;
}

/** A link to a connection, by the name of whoever it is. */
export function Person({ connectionId, userId, metadata }: PersonProps) {
  const name = nameOf(userId, metadata);
  return (
    <a href={href("connections", connectionId)} title={connectionId}>
      {name === undefined ? <code>{connectionId}</code> : <bdi>{name}</bdi>}
    </a>
  );
}

export const RoomLink = ({ name }: { name: string }) => (
  <a href={href("rooms", name)}>
    <bdi>{name}</bdi>
  </a>
);

/** Values by name, such as what a connection says about itself. */
export function Fields({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="fields">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>
            <bdi>{name}</bdi>
          </dt>
          <dd>{value ?? NONE}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Any JSON: a text as it is, all else as it is written. */
export function Value({ of }: { of: unknown }) {
  if (typeof of === "string") return <bdi class="value">{of}</bdi>;
  if (typeof of === "object" && of !== null) return <pre class="value">{JSON.stringify(of, null, 2)}</pre>;
  return <code class="value">{JSON.stringify(of)}</code>;
}

export const Section = ({
  title,
  aside,
  children,
}: {
  title: string;
  aside?: ComponentChildren;
  children: ComponentChildren;
}) => (
  <section class="section">
    <div class="section-head">
      <h2>{title}</h2>
      {aside}
    </div>
    {children}
  </section>
);
