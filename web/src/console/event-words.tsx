/** What happened, in a few words, for each type of public event. */

import type { ComponentChildren } from "preact";
import type { PublicEvent } from "./answers";
import { duration } from "./format";
import { Person, RoomLink, type Tone, willing } from "./parts/words";
import { href } from "./router";

type Data = PublicEvent["data"];

interface Words {
  readonly tone: Tone;
  readonly say: (data: Data) => ComponentChildren;
}

const TYPES: Readonly<Record<string, Words>> = {
  "connection.opened": {
    tone: "good",
    say: (data) => (
      <>
        {who(data)} connected{data.dialect ? <> with {text(data.dialect)}</> : null}
      </>
    ),
  },
  "connection.closed": {
    tone: "plain",
    say: (data) => (
      <>
        {who(data)} disconnected after {lasted(data)}
        {because(data)}
      </>
    ),
  },
  "presence.changed": {
    tone: "plain",
    say: (data) => (
      <>
        {who(data)} is {text(typeof data.availability === "string" ? willing(data.availability) : "there")}
      </>
    ),
  },
  "room.created": { tone: "plain", say: (data) => <>Room {room(data)} was opened</> },
  "room.closed": {
    tone: "plain",
    say: (data) => (
      <>
        Room {room(data)} was closed after {lasted(data)}
      </>
    ),
  },
  "room.joined": {
    tone: "good",
    say: (data) => (
      <>
        {who(data)} joined {room(data)}
        {members(data)}
      </>
    ),
  },
  "room.left": {
    tone: "plain",
    say: (data) => (
      <>
        {who(data)} left {room(data)}
        {because(data)}
        {members(data)}
      </>
    ),
  },
  "message.posted": {
    tone: "plain",
    say: (data) => (
      <>
        {who(data)} wrote in {room(data)}: <q class="said">{text(data.text)}</q>
      </>
    ),
  },
  "call.started": {
    tone: "good",
    say: (data) => (
      <>
        {call(data, "A call")} began in {room(data)}
      </>
    ),
  },
  "call.ended": {
    tone: "plain",
    say: (data) => (
      <>
        {call(data, "The call")} in {room(data)} ended after {lasted(data)}
        {because(data)}
      </>
    ),
  },
  "call.quality": {
    tone: "plain",
    say: (data) => (
      <>
        {who(data)} measured {Array.isArray(data.peers) ? data.peers.length : 0} paths in {room(data)}
      </>
    ),
  },
  "negotiation.offered": { tone: "plain", say: (data) => <>{pair(data, "offered a call to")}</> },
  "negotiation.answered": { tone: "good", say: (data) => <>{pair(data, "answered")}</> },
  "negotiation.failed": { tone: "poor", say: (data) => <>{pair(data, "got no answer from")}</> },
  "event.failed": {
    tone: "poor",
    say: (data) => (
      <>
        {text(data.service)} failed at {text(data.command)} with {text(data.error)}
      </>
    ),
  },
};

export const toneOf = ({ type }: PublicEvent): Tone => TYPES[type]?.tone ?? "plain";

/** Return the words for an event; a type that is newer than the console is named. */
export const wordsOf = ({ type, data }: PublicEvent): ComponentChildren =>
  TYPES[type]?.say(data) ?? <code>{type}</code>;

const text = (value: unknown): ComponentChildren => (
  <bdi>{typeof value === "string" ? value : JSON.stringify(value)}</bdi>
);

function who(data: Data): ComponentChildren {
  if (typeof data.connectionId !== "string") return "A backend";
  const userId = typeof data.userId === "string" ? data.userId : undefined;
  const metadata = typeof data.metadata === "object" && data.metadata ? (data.metadata as Data) : undefined;
  return <Person connectionId={data.connectionId} userId={userId} metadata={metadata} />;
}

const room = (data: Data): ComponentChildren =>
  typeof data.room === "string" ? <RoomLink name={data.room} /> : "no room";

const call = (data: Data, words: string): ComponentChildren =>
  typeof data.callId === "string" ? <a href={href("calls", data.callId)}>{words}</a> : words;

const lasted = (data: Data): string =>
  typeof data.durationMs === "number" ? duration(data.durationMs) : "some time";

const because = (data: Data): ComponentChildren => (data.reason ? <> ({text(data.reason)})</> : null);

const members = (data: Data): string =>
  typeof data.members === "number"
    ? `, now ${data.members} ${data.members === 1 ? "member" : "members"}`
    : "";

const pair = (data: Data, verb: string): ComponentChildren => (
  <>
    {who(data)} {verb} {typeof data.to === "string" ? <Person connectionId={data.to} /> : "somebody"}
  </>
);
