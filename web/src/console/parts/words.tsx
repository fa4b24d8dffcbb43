/** Small pieces that every screen uses. Names and values are strangers': always text, in their own direction. */

import type { ComponentChildren } from "preact";
import type { Metadata } from "../answers";
import type { Problem } from "../api";
import { NONE } from "../format";
import { known, learn, nameOf } from "../names";
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
  return status === 404 && message.startsWith("There is nothing at ")
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

/** An availability in words. */
export const willing = (value: string): string => (value === "inCall" ? "in call" : value);

export const Availability = ({ value }: { value: string }) => (
  <Badge tone={TONES[value] ?? "plain"}>{willing(value)}</Badge>
);

interface PersonProps {
  readonly connectionId: string;
  readonly userId?: string | null | undefined;
  readonly metadata?: Metadata | undefined;
}

/** A link to a connection, by the name of whoever it is. */
export function Person({ connectionId, userId, metadata }: PersonProps) {
  const said = nameOf(userId, metadata);
  learn(connectionId, said);
  const name = said ?? known(connectionId);
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

/** Values by name, beside each other or, where they may be long, below each other. */
export function Fields({
  of,
  as = "fields",
}: {
  of: readonly (readonly [string, ComponentChildren])[];
  as?: "fields" | "rows";
}) {
  return (
    <dl class={as}>
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
