/**
 * Invitations from one connection to another, to come into a room's call.
 *
 * They travel as `signal` data. An invitation is between two connections: when one of them ends,
 * or comes back as a new one, it is over.
 */

import { Emitter } from "./emitter.js";
import { ParleyError } from "./errors.js";
import type { Member, Signal } from "./frames.js";
import { newId } from "./ids.js";

/** `open` until it was answered or withdrawn; of the others it never changes again. */
export type InvitationState = "open" | "accepted" | "declined" | "withdrawn";

/** What became of an invitation that was sent. Without a word, or when it was withdrawn, it is `unanswered`. */
export type InvitationAnswer = "accepted" | "declined" | "unanswered";

/** What happens to an invitation that this client got. */
export interface InvitationEvents {
  /** It is not open any more: answered from here, or withdrawn from there. */
  ended: Exclude<InvitationState, "open">;
}

/** How to invite somebody. */
export interface InviteOptions {
  /** What the invited one reads; at most 1,000 characters of it. */
  readonly text?: string;
  /** How long to wait for an answer, in milliseconds; a minute unless it says otherwise. */
  readonly timeoutMs?: number;
}

/** An invitation that this client has sent. */
export interface SentInvitation {
  readonly id: string;
  /** The connection that is invited. */
  readonly to: string;
  /**
   * Resolves with what became of it, at the latest when the time is over. Rejects if it could not be delivered:
   * with a `RefusedError` of code `gone` or `not_found` when there is no such connection, `not_allowed` when the
   * token does not grant `direct`.
   */
  readonly answer: Promise<InvitationAnswer>;
  /** Take it back; `answer` is `unanswered` then, if nothing has come yet. */
  withdraw(): void;
}

/** Somebody asks this client into a call. */
export class Invitation extends Emitter<InvitationEvents> {
  /** Unique for whoever sent it. */
  readonly id: string;
  /** The connection that invites. */
  readonly from: string;
  /** The room to come into. From a stranger: show it as text. */
  readonly room: string;
  /** What the inviting one has written, if anything. From a stranger: show it as text. */
  readonly text: string | undefined;
  /** Who invites, if it is a member of a room that this client is in. */
  readonly member: Member | undefined;
  readonly #reply: (answer: "accepted" | "declined") => Promise<void>;
  #state: InvitationState = "open";

  /** @internal */
  constructor(
    said: { id: string; from: string; room: string; text?: string | undefined; member?: Member | undefined },
    reply: (answer: "accepted" | "declined") => Promise<void>,
  ) {
    super();
    this.id = said.id;
    this.from = said.from;
    this.room = said.room;
    this.text = said.text;
    this.member = said.member;
    this.#reply = reply;
  }

  /** Whether it can still be answered (`open`), and what became of it. */
  get state(): InvitationState {
    return this.#state;
  }

  /**
   * Say yes. It joins nothing: do that next, with `joinCall` or `call.takePart()`.
   *
   * Rejects with a `ParleyError` of code `gone` if it is not open any more, and if the other side can't be told.
   */
  accept(): Promise<void> {
    return this.#answer("accepted");
  }

  /** Say no. Rejects as `accept` does. */
  decline(): Promise<void> {
    return this.#answer("declined");
  }

  /** @internal */
  end(state: Exclude<InvitationState, "open">): void {
    if (this.#state !== "open") return;
    this.#state = state;
    this.emit("ended", state);
  }

  async #answer(answer: "accepted" | "declined"): Promise<void> {
    if (this.#state !== "open")
      throw new ParleyError("gone", `This invitation was ${this.#state} already; ask to be invited again.`);
    this.end(answer);
    await this.#reply(answer);
  }
}

/** What is said about an invitation, as signal data. */
type Said =
  | { readonly id: string; readonly room: string; readonly text?: string }
  | { readonly id: string; readonly answer: "accepted" | "declined" }
  | { readonly id: string; readonly withdrawn: true };

const TIMEOUT_MS = 60_000;
const LONGEST_ID = 64;
const LONGEST_ROOM = 1024;
const LONGEST_TEXT = 1000;
/** More than these nobody can look at: what strangers send beyond them is ignored. */
const MOST_OPEN = 100;

interface Sent {
  readonly to: string;
  readonly room: string;
  end(answer: InvitationAnswer): void;
}

export interface InvitationsEvents {
  received(invitation: Invitation): void;
  signal(to: string, data: { readonly invitation: Said }): Promise<void>;
  /** Return who a connection is, if a room knows. */
  member(connectionId: string): Member | undefined;
}

/**
 * All open invitations of a connection, in both directions.
 *
 * @internal
 */
export class Invitations {
  readonly #events: InvitationsEvents;
  /** By sender and id: an id is unique per sender only. */
  readonly #received = new Map<string, Invitation>();
  readonly #sent = new Map<string, Sent>();

  constructor(events: InvitationsEvents) {
    this.#events = events;
  }

  /** Send one. */
  invite(to: string, room: string, { text, timeoutMs = TIMEOUT_MS }: InviteOptions = {}): SentInvitation {
    const id = newId();
    const words = text === undefined ? {} : { text: text.slice(0, LONGEST_TEXT) };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const withdraw = () => {
      if (!this.#sent.has(id)) return;
      this.#sent.get(id)?.end("unanswered");
      this.#events.signal(to, { invitation: { id, withdrawn: true } }).catch(() => {}); // it ends there with us
    };
    const answer = new Promise<InvitationAnswer>((resolve, reject) => {
      const over = () => {
        clearTimeout(timer);
        this.#sent.delete(id);
      };
      const end = (said: InvitationAnswer) => {
        over();
        resolve(said);
      };
      this.#sent.set(id, { to, room, end });
      timer = setTimeout(withdraw, timeoutMs);
      this.#events.signal(to, { invitation: { id, room, ...words } }).catch((error: unknown) => {
        over();
        reject(error);
      });
    });
    answer.catch(() => {}); // who does not look at the answer does not mind
    return { id, to, answer, withdraw };
  }

  /** Take what concerns an invitation. Returns whether it did: anything else is for others. */
  receive({ from, data }: Signal): boolean {
    const said = invitationIn(data);
    if (!said) return false;
    if ("answer" in said) this.#answered(from, said.id, said.answer);
    else if ("withdrawn" in said) this.#received.get(key(from, said.id))?.end("withdrawn");
    else this.#invited(from, said);
    return true;
  }

  /** Somebody has left a room: what was between the two of us about it is over. */
  left(connectionId: string, room: string): void {
    for (const sent of [...this.#sent.values()])
      if (sent.to === connectionId && sent.room === room) sent.end("unanswered");
    for (const invitation of [...this.#received.values()])
      if (invitation.from === connectionId && invitation.room === room) invitation.end("withdrawn");
  }

  /** We leave a room: into it nobody is invited any more. */
  withdraw(room: string): void {
    for (const [id, sent] of [...this.#sent]) {
      if (sent.room !== room) continue;
      sent.end("unanswered");
      this.#events.signal(sent.to, { invitation: { id, withdrawn: true } }).catch(() => {});
    }
  }

  /** This connection is another one, or none any more. */
  end(): void {
    for (const sent of [...this.#sent.values()]) sent.end("unanswered");
    for (const invitation of [...this.#received.values()]) invitation.end("withdrawn");
  }

  #invited(from: string, { id, room, text }: { id: string; room: string; text?: string }): void {
    const known = key(from, id);
    if (this.#received.has(known) || this.#received.size >= MOST_OPEN) return;
    const member = this.#events.member(from);
    const invitation = new Invitation({ id, from, room, text, member }, (answer) =>
      this.#events.signal(from, { invitation: { id, answer } }),
    );
    this.#received.set(known, invitation);
    invitation.on("ended", () => this.#received.delete(known));
    this.#events.received(invitation);
  }

  #answered(from: string, id: string, answer: "accepted" | "declined"): void {
    const sent = this.#sent.get(id);
    if (sent?.to === from) sent.end(answer);
  }
}

/** Return what a signal says about an invitation, `undefined` if it says nothing that makes sense. */
export function invitationIn(data: unknown): Said | undefined {
  if (!isObject(data) || !isObject(data.invitation)) return undefined;
  const { id, room, text, answer, withdrawn } = data.invitation;
  if (typeof id !== "string" || id === "" || id.length > LONGEST_ID) return undefined;
  if (answer === "accepted" || answer === "declined") return { id, answer };
  if (withdrawn === true) return { id, withdrawn };
  if (typeof room !== "string" || room === "" || room.length > LONGEST_ROOM) return undefined;
  return typeof text === "string" ? { id, room, text: text.slice(0, LONGEST_TEXT) } : { id, room };
}

function key(from: string, id: string): string {
  return JSON.stringify([from, id]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
