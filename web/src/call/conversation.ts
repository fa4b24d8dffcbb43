/**
 * One user's way through a call: what the page shows is read from here, and what the
 * user does is said here. It knows no elements.
 */

import { batch, computed, signal } from "@preact/signals";
import {
  type Availability,
  type Call,
  type Connection,
  type ConnectionState,
  connect,
  joinCall,
  type Kind,
  type Member,
  type Peer,
  type Quality,
  type Score,
} from "parley-client";
import { type Address, nameRoom } from "./address";
import { Announcer } from "./announcer";
import { ChatLog } from "./chat-log";
import type { Role } from "./choices";
import type { Devices } from "./devices";
import { Invitations } from "./invitations";
import { nameOf, sends } from "./people";
import { CALL_IS_FULL, MOST_IN_CALL, sentence } from "./problems";
import { Speaking } from "./speaking";

export type Phase =
  | { readonly at: "lobby"; readonly problem?: string }
  | { readonly at: "joining" }
  | { readonly at: "in"; readonly call: Call }
  | { readonly at: "over"; readonly reason: string; readonly summary: Summary };

/** What was, when it is over. */
export interface Summary {
  readonly durationMs: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly people: readonly {
    readonly id: string;
    readonly name: string;
    readonly score: Score | undefined;
  }[];
}

/** How the tile of a member stands: its stream arrives, is on its way, or is not expected. */
export interface Seat {
  readonly member: Member;
  readonly name: string;
  readonly peer: Peer | undefined;
  readonly state: RTCPeerConnectionState | "none";
  readonly audio: boolean;
  readonly video: boolean;
  readonly sharing: boolean;
  readonly quality: Quality | undefined;
}

/** What a user may say about being there. */
export type Standing = "call" | Exclude<Availability, "available" | "inCall">;

export class Conversation {
  readonly address: Address;
  readonly phase = signal<Phase>({ at: "lobby" });
  readonly name = signal(localStorage.getItem("parley.name") ?? "");
  readonly room = signal("");
  readonly connection = signal<ConnectionState>("connecting");
  /** What the server can't do just now, in its words. */
  readonly degraded = signal<string | undefined>(undefined);
  readonly standing = signal<Standing>("online");
  readonly sharing = signal(false);
  /** The others in the call. */
  readonly seats = signal<readonly Seat[]>([]);
  /** Who is in the room and not in its call. */
  readonly dormant = signal<readonly Member[]>([]);
  /** Why this user is not in the call although they wanted to be. */
  readonly full = signal(false);
  readonly inCall = computed(() => this.standing.value === "call");
  /** Whether the room has members besides this page's user. */
  readonly alone = computed(() => this.seats.value.length + this.dormant.value.length === 0);
  readonly announcer = new Announcer();
  readonly chat = new ChatLog(this.announcer);
  readonly invitations = new Invitations(this.announcer);
  readonly speaking: Speaking;
  readonly devices: Devices;
  #open: Connection | undefined;

  constructor(address: Address, devices: Devices) {
    this.address = address;
    this.room.value = address.room;
    this.devices = devices;
    this.speaking = new Speaking(devices);
  }

  get #call(): Call | undefined {
    return this.phase.value.at === "in" ? this.phase.value.call : undefined;
  }

  /** Join the room; with `takePart` its call, too, without it only the chat. */
  async join(name: string, room: string, takePart = true): Promise<void> {
    batch(() => {
      this.name.value = name;
      this.room.value = room;
      this.connection.value = "connecting";
      this.degraded.value = undefined;
      this.standing.value = "online";
      this.sharing.value = false;
      this.full.value = false;
      this.phase.value = { at: "joining" };
    });
    localStorage.setItem("parley.name", name);
    nameRoom(room);
    if (!takePart) this.devices.closeAll();
    const connection = this.#connect();
    try {
      const call = await joinCall(connection, room, { stream: this.devices.stream, takePart: false });
      this.#follow(call);
      if (takePart) await this.#takePart(call);
      this.phase.value = { at: "in", call };
    } catch (error) {
      connection.close();
      if (this.#open !== connection) return; // given up by the user
      this.#open = undefined;
      this.#rest();
      this.phase.value = { at: "lobby", problem: sentence(error) };
    }
  }

  /** Stop trying to join. */
  giveUp(): void {
    this.#open?.close();
    this.#open = undefined;
    this.phase.value = { at: "lobby" };
  }

  async rejoin(): Promise<void> {
    await this.devices.openAll();
    await this.join(this.name.value, this.room.value);
  }

  async leave(): Promise<void> {
    const call = this.#call;
    const takesPart = this.inCall.value;
    if (!call) return;
    this.invitations.end();
    this.#over(takesPart ? "You left the call." : "You left the room.");
    await call.leave().catch(() => {}); // when the connection is away the server will see it by itself
    call.room.connection.close();
    const { phase } = this;
    if (phase.value.at === "over") phase.value = { ...phase.value, summary: summed(call) }; // read a last time
  }

  /** Take part in the call, or say why not; the room and its chat stay either way. */
  async stand(standing: Standing): Promise<void> {
    const call = this.#call;
    if (!call || standing === this.standing.value) return;
    if (standing === "call") {
      await this.devices.openAll();
      return this.#takePart(call);
    }
    this.devices.closeAll();
    this.sharing.value = false;
    this.standing.value = standing;
    this.speaking.end();
    await this.#told(call.stepBack(standing));
  }

  async accept(): Promise<void> {
    const invitation = this.invitations.received.value;
    this.invitations.received.value = undefined;
    if (!invitation) return;
    try {
      await invitation.accept();
      await this.stand("call");
    } catch (error) {
      this.announcer.show(sentence(error));
    }
  }

  async decline(): Promise<void> {
    const invitation = this.invitations.received.value;
    this.invitations.received.value = undefined;
    await this.#told(invitation?.decline());
  }

  /** Switch the microphone or the camera. */
  async toggle(kind: Kind): Promise<void> {
    const { devices } = this;
    const on = !devices[kind].value.on;
    if (kind === "audio" && devices.track("audio")) devices.hush(!on);
    else if (on) await devices.open(kind);
    else devices.close(kind);
    await this.#send(kind);
    const { problem } = devices[kind].value;
    if (problem) this.announcer.show(problem);
    else this.announcer.say(`${kind === "audio" ? "Microphone" : "Camera"} ${on ? "on" : "off"}.`);
  }

  /** Use another device from now on; one that is switched off is opened later. */
  async choose(role: Role, id: string): Promise<void> {
    this.devices.choices.choose(role, id);
    const kind = role === "audioinput" ? "audio" : role === "videoinput" ? "video" : undefined;
    if (!kind || !this.devices[kind].value.on) return;
    await this.devices.open(kind);
    await this.#send(kind);
  }

  async share(): Promise<void> {
    const call = this.#call;
    if (!call) return;
    if (call.sharing) return call.stopSharing();
    try {
      await call.shareScreen();
      this.announcer.say("You share your screen.");
    } catch (error) {
      if (error instanceof DOMException && error.name === "NotAllowedError") return; // changed their mind
      this.announcer.show("The screen could not be shared. Try again, or choose a single window.");
    }
  }

  #connect(): Connection {
    const { server, app, token } = this.address;
    const connection = connect({
      url: server,
      metadata: { name: this.name.value },
      ...(app ? { app } : {}),
      ...(token ? { token } : {}),
    });
    this.#open = connection;
    connection.on("state", (state) => {
      this.connection.value = state;
    });
    connection.on("degraded", () => {
      this.degraded.value = connection.degraded?.reason;
    });
    return connection;
  }

  async #takePart(call: Call): Promise<void> {
    if (call.room.available.length >= MOST_IN_CALL) {
      this.full.value = true;
      this.devices.closeAll();
      this.announcer.say(CALL_IS_FULL);
      return;
    }
    this.full.value = false;
    this.standing.value = "call";
    await this.#hush(call);
    await call.takePart();
    this.speaking.follow(call);
    this.#sit(call);
  }

  /** Send what a device gives now, and say whether it is on. */
  async #send(kind: Kind): Promise<void> {
    const call = this.#call;
    if (!call || !this.inCall.value) return;
    await this.#told(call.setTrack(kind, this.devices.track(kind) ?? null));
    if (kind === "audio") await this.#hush(call);
  }

  /** A microphone that is muted is there all the same; a camera that is off is not. */
  async #hush(call: Call): Promise<void> {
    await this.#told(this.devices.audio.value.on ? call.unmute("audio") : call.mute("audio"));
  }

  /** What can't be told now is told when the connection is back, or does not matter any more. */
  async #told(telling: Promise<unknown> | undefined): Promise<void> {
    await telling?.catch(() => {});
  }

  #follow(call: Call): void {
    const { room } = call;
    const sit = () => this.#sit(call);
    this.chat.follow(room, this.name.value);
    this.invitations.follow(room.connection, room, () => this.inCall.value);
    room.on("members", sit);
    room.on("rejoined", sit);
    room.on("removed", (error) => {
      if (this.phase.value.at !== "in") return;
      this.#over(sentence(error));
      call.leave().catch(() => {});
      room.connection.close();
    });
    call.on("peer", sit);
    call.on("gone", sit);
    call.on("quality", sit);
    call.on("local", sit);
    sit();
  }

  #sit(call: Call): void {
    const { available, dormant } = call.room;
    const seats = available.map((member) => seat(call, member));
    const before = this.seats.value.find((seat) => seat.sharing);
    batch(() => {
      this.seats.value = seats;
      this.dormant.value = dormant;
      this.sharing.value = call.sharing;
      if (available.length < MOST_IN_CALL) this.full.value = false;
    });
    const sharer = seats.find((seat) => seat.sharing);
    if (sharer && sharer.member.connectionId !== before?.member.connectionId)
      this.announcer.say(`${sharer.name} shares a screen.`);
  }

  #over(reason: string): void {
    const call = this.#call;
    if (!call) return;
    const summary = summed(call);
    batch(() => {
      this.#rest();
      this.phase.value = { at: "over", reason, summary };
    });
    this.#open = undefined;
  }

  /** Nothing is recorded, and nothing is shown of the room. */
  #rest(): void {
    this.devices.closeAll();
    this.speaking.end();
    this.seats.value = [];
    this.dormant.value = [];
  }
}

function summed(call: Call): Summary {
  const { durationMs, bytesSent, bytesReceived, peers } = call.summary();
  const people = new Map(
    peers.map(({ connectionId: id, quality, ...peer }) => [
      id,
      { id, name: nameOf(peer), score: quality?.score },
    ]),
  );
  return { durationMs, bytesSent, bytesReceived, people: [...people.values()] };
}

function seat(call: Call, member: Member): Seat {
  const peer = call.peers.get(member.connectionId);
  return {
    member,
    name: nameOf(member),
    peer,
    state: peer?.state ?? "none",
    audio: sends(member, "audio"),
    video: sends(member, "video"),
    sharing: member.metadata.screen === "on",
    quality: peer?.quality,
  };
}
