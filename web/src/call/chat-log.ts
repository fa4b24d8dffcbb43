/** The chat of one room: what was said before, what is said now, and what of one's own is on its way. */

import { signal } from "@preact/signals";
import { type Chat, newId, type Room } from "parley-client";
import type { Announcer } from "./announcer";
import { nameIn, nameOf } from "./people";
import { sentence } from "./problems";

/** A line of the chat: somebody's words, or that somebody came or went. */
export type Line =
  | {
      readonly is: "chat";
      readonly id: string;
      readonly name: string;
      readonly own: boolean;
      readonly text: string;
      readonly time: Date;
      readonly delivery: "sending" | "sent" | "failed";
      /** Why it could not be sent. */
      readonly problem?: string;
    }
  | { readonly is: "note"; readonly id: string; readonly text: string };

/** Of what is older than this page: nothing known yet, there is more, that was all, or it can't be had now. */
export type Older = "loading" | "more" | "none" | "failed";

const PAGE = 50;
const KEPT_LINES = 5000;
const OWN_IDS = "parley.selves";
const KEPT_IDS = 50;

export class ChatLog {
  readonly lines = signal<readonly Line[]>([]);
  readonly unread = signal(0);
  readonly older = signal<Older>("loading");
  readonly #announcer: Announcer;
  readonly #names = new Map<string, string>();
  #room: Room | undefined;
  #ownName = "";

  constructor(announcer: Announcer) {
    this.#announcer = announcer;
  }

  /** Show this room's chat from now on, and what of it history has. */
  follow(room: Room, ownName: string): void {
    this.#room = room;
    this.#ownName = ownName;
    this.lines.value = [];
    this.unread.value = 0;
    this.#know();
    room.on("members", () => this.#know());
    room.on("rejoined", ({ recovered }) => {
      remember(room.connection.connectionId);
      if (!recovered) this.note("You were away for a moment. What was said meanwhile may be missing here.");
      this.#know();
    });
    room.on("joined", (member) => this.#happened(`${nameOf(member)} joined.`));
    room.on("left", ({ member }) => this.#happened(`${nameOf(member)} left.`));
    room.on("chat", (chat) => this.#heard(chat));
    remember(room.connection.connectionId);
    void this.loadOlder();
  }

  /** Load the page before the oldest line. */
  async loadOlder(): Promise<void> {
    const room = this.#room;
    if (!room) return;
    this.older.value = "loading";
    try {
      const { messages, more } = await room.history({ limit: PAGE });
      if (room !== this.#room) return;
      const known = new Set(this.lines.value.map(({ id }) => id));
      const fresh = messages.map((chat) => this.#line(chat)).filter(({ id }) => !known.has(id));
      this.lines.value = [...fresh, ...this.lines.value];
      this.older.value = more && this.lines.value.length < KEPT_LINES ? "more" : "none";
    } catch {
      if (room === this.#room) this.older.value = "failed";
    }
  }

  async post(text: string, id = newId()): Promise<void> {
    const room = this.#room;
    if (!room) return;
    this.#add({ is: "chat", id, name: "You", own: true, text, time: new Date(), delivery: "sending" });
    try {
      // with the name, so that it can still be told when this connection is gone
      const posted = await room.chat(text, { id, data: { name: this.#ownName } });
      this.#amend(id, { delivery: "sent", time: new Date(posted.time) });
    } catch (error) {
      this.#amend(id, { delivery: "failed", problem: sentence(error) });
      this.#announcer.say(`Your message was not sent. ${sentence(error)}`);
    }
  }

  /** Say the same words again, as the same message. */
  async postAgain(id: string): Promise<void> {
    const line = this.lines.value.find((candidate) => candidate.id === id);
    if (line?.is === "chat") await this.post(line.text, id);
  }

  note(text: string): void {
    this.#add({ is: "note", id: newId(), text });
  }

  #happened(text: string): void {
    this.note(text);
    this.#announcer.say(text);
  }

  #know(): void {
    for (const member of this.#room?.members.values() ?? []) {
      this.#names.set(member.connectionId, nameOf(member));
    }
  }

  #heard(chat: Chat): void {
    const line = this.#line(chat);
    const { own, id, time } = line;
    if (own && this.lines.value.some((known) => known.id === id)) {
      return this.#amend(id, { delivery: "sent", time });
    }
    this.#add(line);
    if (own) return;
    this.unread.value += 1;
    this.#announcer.say(`${line.name} says: ${line.text}`);
  }

  #line({ id, from, userId, text, data, time }: Chat): Line & { is: "chat" } {
    const own = isOwn(from);
    const claimed = (from && this.#names.get(from)) || nameIn(data) || userId;
    const name = own ? "You" : claimed || (from ? "Guest" : "The server");
    // an id is unique per sender only
    const key = own ? id : `${from}/${id}`;
    return { is: "chat", id: key, name, own, text, time: new Date(time), delivery: "sent" };
  }

  #add(line: Line): void {
    const others = this.lines.value.filter(({ id }) => id !== line.id);
    this.lines.value = [...others, line].slice(-KEPT_LINES);
  }

  #amend(id: string, change: { delivery: "sent" | "failed"; time?: Date; problem?: string }): void {
    this.lines.value = this.lines.value.map((line) =>
      line.id === id && line.is === "chat" && line.own ? { ...line, ...change } : line,
    );
  }
}

/** A reload makes another connection: this tab keeps which ones were its own. */
function remember(connectionId: string | undefined): void {
  if (!connectionId || isOwn(connectionId)) return;
  sessionStorage.setItem(OWN_IDS, [...selves(), connectionId].slice(-KEPT_IDS).join(" "));
}

function isOwn(connectionId: string | null): boolean {
  return connectionId !== null && selves().includes(connectionId);
}

function selves(): string[] {
  return (sessionStorage.getItem(OWN_IDS) ?? "").split(" ");
}
