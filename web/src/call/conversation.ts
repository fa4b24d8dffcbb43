/**
 * One user's way through a call: what the page shows is read from here, and what the
 * user does is said here. It knows no elements.
 */

import { batch, computed, signal } from "@preact/signals";
import {
  type Call,
  type Chat as ChatFrame,
  type Connection,
  type ConnectionState,
  connect,
  joinCall,
  type Kind,
  type Member,
  newId,
  type Peer,
} from "parley-client";
import { type Address, nameRoom } from "./address";
import type { Devices } from "./devices";
import { CALL_PAGE, type Introduction, nameOf, takesPart } from "./people";

export type Phase =
  | { readonly at: "lobby"; readonly problem?: string }
  | { readonly at: "joining" }
  | { readonly at: "in"; readonly call: Call }
  | { readonly at: "over"; readonly reason: string };

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

/** How the tile of a member stands: its stream arrives, is on its way, or is not expected. */
export interface Seat {
  readonly member: Member;
  readonly peer: Peer | undefined;
  readonly state: RTCPeerConnectionState | "none";
}

const KEPT_LINES = 1000;

export class Conversation {
  readonly address: Address;
  readonly phase = signal<Phase>({ at: "lobby" });
  readonly name = signal(localStorage.getItem("parley.name") ?? "");
  readonly room = signal("");
  readonly connection = signal<ConnectionState>("connecting");
  readonly lines = signal<readonly Line[]>([]);
  readonly unread = signal(0);
  readonly seats = signal<readonly Seat[]>([]);
  /** Whether the room has members besides this page's user. */
  readonly alone = computed(() => this.seats.value.length === 0);
  readonly #devices: Devices;
  readonly #names = new Map<string, string>();
  #open: Connection | undefined;

  constructor(address: Address, devices: Devices) {
    this.address = address;
    this.room.value = address.room;
    this.#devices = devices;
  }

  get #call(): Call | undefined {
    return this.phase.value.at === "in" ? this.phase.value.call : undefined;
  }

  async join(name: string, room: string): Promise<void> {
    batch(() => {
      this.name.value = name;
      this.room.value = room;
      this.lines.value = [];
      this.unread.value = 0;
      this.connection.value = "connecting";
      this.phase.value = { at: "joining" };
    });
    localStorage.setItem("parley.name", name);
    nameRoom(room);
    const connection = this.#connect();
    try {
      const call = await joinCall(connection, room, { stream: this.#devices.stream, whom: takesPart });
      this.#follow(call);
      this.phase.value = { at: "in", call };
    } catch (error) {
      this.#open = undefined;
      connection.close();
      this.phase.value = { at: "lobby", problem: sentence(error) };
    }
  }

  async leave(): Promise<void> {
    const call = this.#call;
    this.#over("You left the call.");
    await call?.leave().catch(() => {}); // when the connection is away the server will see it by itself
    call?.room.connection.close();
  }

  async post(text: string, id = newId()): Promise<void> {
    const call = this.#call;
    if (!call) return;
    this.#line({ is: "chat", id, name: "You", own: true, text, time: new Date(), delivery: "sending" });
    try {
      const posted = await call.room.chat(text, { id });
      this.#amend(id, { delivery: "sent", time: new Date(posted.time) });
    } catch (error) {
      this.#amend(id, { delivery: "failed", problem: sentence(error) });
    }
  }

  /** Say the same words again, as the same message. */
  async postAgain(id: string): Promise<void> {
    const line = this.lines.value.find((candidate) => candidate.id === id);
    if (line?.is === "chat") await this.post(line.text, id);
  }

  /** Switch the microphone or the camera. */
  async toggle(kind: Kind): Promise<void> {
    const on = this.#devices[kind].value.on;
    if (on) this.#devices.close(kind);
    const track = on ? null : await this.#devices.open(kind);
    await this.#call?.setTrack(kind, track);
    await this.#open?.setPresence({ metadata: { ...this.#introduction() } }).catch(() => {}); // a closed one says so itself
  }

  #connect(): Connection {
    const { server, app, token } = this.address;
    const connection = connect({
      url: server,
      metadata: { ...this.#introduction() },
      ...(app ? { app } : {}),
      ...(token ? { token } : {}),
    });
    this.#open = connection;
    connection.on("state", (state) => {
      this.connection.value = state;
    });
    return connection;
  }

  #introduction(): Introduction {
    return {
      name: this.name.value,
      client: CALL_PAGE,
      audio: this.#devices.audio.value.on ? "on" : "off",
      video: this.#devices.video.value.on ? "on" : "off",
    };
  }

  #follow(call: Call): void {
    const { room } = call;
    const sit = () => this.#sit(call);
    room.on("members", sit);
    room.on("rejoined", ({ recovered }) => {
      if (!recovered) this.#note("You were away for a moment. What was said meanwhile may be missing here.");
      sit();
    });
    room.on("joined", (member) => this.#note(`${nameOf(member)} joined.`));
    room.on("left", ({ member }) => this.#note(`${nameOf(member)} left.`));
    room.on("chat", (chat) => this.#heard(call, chat));
    room.on("removed", (error) => {
      if (this.phase.value.at !== "in") return;
      this.#over(error.message);
      room.connection.close();
    });
    call.on("peer", sit);
    call.on("gone", sit);
    sit();
  }

  #sit(call: Call): void {
    const members = [...call.room.members.values()];
    for (const member of members) this.#names.set(member.connectionId, nameOf(member));
    this.seats.value = members.map((member) => {
      const peer = call.peers.get(member.connectionId);
      return { member, peer, state: peer?.state ?? "none" };
    });
  }

  #heard(call: Call, { id, from, userId, text, time }: ChatFrame): void {
    const { connection } = call.room;
    if (connection.isSelf(from)) return this.#amend(id, { delivery: "sent", time: new Date(time) });
    const name = (from && this.#names.get(from)) || userId || "Guest";
    // an id is unique per sender only
    this.#line({
      is: "chat",
      id: `${from}/${id}`,
      name,
      own: false,
      text,
      time: new Date(time),
      delivery: "sent",
    });
    this.unread.value += 1;
  }

  #note(text: string): void {
    this.#line({ is: "note", id: newId(), text });
  }

  #line(line: Line): void {
    const others = this.lines.value.filter(({ id }) => id !== line.id);
    this.lines.value = [...others, line].slice(-KEPT_LINES);
  }

  #amend(id: string, change: { delivery: "sent" | "failed"; time?: Date; problem?: string }): void {
    this.lines.value = this.lines.value.map((line) =>
      line.id === id && line.is === "chat" && line.own ? { ...line, ...change } : line,
    );
  }

  #over(reason: string): void {
    batch(() => {
      this.#devices.closeAll();
      this.seats.value = [];
      this.phase.value = { at: "over", reason };
    });
    this.#open = undefined;
  }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
