/**
 * The second layer: one room, as this client sees it.
 *
 * It keeps the members and the place in the room's stream, and joins again by itself
 * where that is needed: after the connection was renewed, when a frame was missed, and
 * when the server had given this member up.
 */

import type { Connection } from "./connection.js";
import { Emitter } from "./emitter.js";
import { InterruptedError, ParleyError, RefusedError } from "./errors.js";
import type {
  Chat,
  Joined,
  LeaveReason,
  Member,
  MemberChanged,
  MemberLeft,
  Message,
  Metadata,
  Place,
  Positioned,
  Posted,
  RoomFrame,
} from "./frames.js";
import { chatBetween } from "./gap.js";
import { chatBefore, chatUntil, type HistoryPage, type PastChat } from "./history.js";
import { newId } from "./ids.js";
import type { InviteOptions, SentInvitation } from "./invitation.js";
import { advance, change, difference, joined, type Membership, standing, willing } from "./membership.js";
import { type Post, Posts } from "./posts.js";

/** What happens in a room, in its order. */
export interface RoomEvents {
  /** Somebody came. */
  joined: Member;
  /** Somebody went, and why. */
  left: { readonly member: Member; readonly reason: LeaveReason };
  /** Somebody says something else about themselves: `availability` or `metadata`. */
  changed: Member;
  /** After any of the three above: `room.members` is another. */
  members: undefined;
  /** Chat in the room's order, one's own included. */
  chat: Chat;
  /** One's own chat is on its way, durable, or given up: `room.posts` has another state of it. */
  post: Post;
  /** Somebody has used `send`. */
  message: Message;
  /** Joined again, and chat that was missed follows. Unless `recovered`, some is missing; if `renewed`, under a new id. */
  rejoined: { readonly recovered: boolean; readonly renewed: boolean };
  /** No longer a member, and not by leaving: taken out, refused when it joined again, or the connection is over. */
  removed: ParleyError;
}

type Phase = "joining" | "in" | "rejoining" | "out";

/** How to join a room. */
export interface JoinOptions {
  /** Of this membership; it lies over the connection's own. */
  readonly metadata?: Metadata;
  /**
   * What comes is held until then, for who can't listen as soon as the join is answered.
   *
   * @internal
   */
  readonly ready?: Promise<unknown> | undefined;
}

/** What to read of a room's history. */
export interface HistoryOptions {
  /** Only what is before this place; without it, what is before the oldest that this room has returned so far. */
  readonly before?: Place;
  /** How many at most, 1 to 1,000; 50 unless it says otherwise. */
  readonly limit?: number;
}

/** How many of the last frames the server's own window is asked for: what history may not have yet. */
const TAIL = 100;

/**
 * Join a room; resolves once this client is a member. Listen to its events right then: what came meanwhile follows.
 *
 * Rejects with a `RefusedError` of code `not_allowed` if the token does not grant it, `room_full`, or `bad_request`
 * for a name that is none (1 to 1,024 bytes of UTF-8).
 */
export async function join(connection: Connection, name: string, options: JoinOptions = {}): Promise<Room> {
  const room = new Room(connection, name, options);
  await room.enter();
  return room;
}

/**
 * A room that this client is a member of. Made by `join`.
 *
 * It joins again by itself where that is needed, and reads what it missed: `members` and `chat` are always what the
 * room's stream says.
 */
export class Room extends Emitter<RoomEvents> {
  /** The connection that it was joined on. */
  readonly connection: Connection;
  readonly name: string;
  readonly #metadata: Metadata | undefined;
  readonly #ready: Promise<unknown> | undefined;
  readonly #stops: (() => void)[];
  #phase: Phase = "joining";
  /** What came while the answer to a join was awaited, or while nobody could listen yet. */
  #held: RoomFrame[] = [];
  /** The connection has another id than at the last join. */
  #renewed = false;
  #membership: Membership = { place: { epoch: "", position: 0 }, members: new Map() };
  /** Resolves when this client is a member (again). */
  #entered: Promise<void> = Promise.resolve();
  /** Nobody knows what was said while we were away. */
  #blind = false;
  /** Own chat on its way, and where the stream has shown it. */
  readonly #posting = new Map<string, Posted | undefined>();
  readonly #posts = new Posts((post) => this.emit("post", post));
  /** Set with the first join: everything behind it comes by itself. */
  #began: Place | undefined;
  /** The oldest that `history` has returned. */
  #oldest: Place | undefined;
  /** Pages follow one another. */
  #paging: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(connection: Connection, name: string, options: JoinOptions = {}) {
    super();
    this.connection = connection;
    this.name = name;
    this.#metadata = options.metadata;
    this.#ready = options.ready;
    this.#stops = [
      connection.on("room", (frame) => frame.room === name && this.#receive(frame)),
      connection.on("renewed", () => this.#connectionRenewed()),
      connection.on("closed", (end) => this.#out(end)),
      connection.enroll(this),
    ];
  }

  /** The others, by connection id. */
  get members(): ReadonlyMap<string, Member> {
    return this.#membership.members;
  }

  /** Those of the others who take part in calls or would: `available`, or `inCall`. */
  get available(): Member[] {
    return [...this.members.values()].filter(willing);
  }

  /** Those of the others who are here and take part in no call: they can be invited. */
  get dormant(): Member[] {
    return [...this.members.values()].filter((member) => !willing(member));
  }

  /** What this client has posted here and how far it got, by id; the last thousand that are settled. */
  get posts(): ReadonlyMap<string, Post> {
    return this.#posts.all;
  }

  /** Where in the room's stream this client is. */
  get place(): Place {
    return this.#membership.place;
  }

  /**
   * Called once, by `join`.
   *
   * @internal
   */
  async enter(): Promise<void> {
    try {
      const answer = await this.#ask();
      this.#membership = this.#others(joined(answer));
      this.#began = this.place;
      this.#renewed = false;
      const release = () => setTimeout(() => this.#release()); // once who awaits the join has had its turn to listen
      if (this.#ready) this.#ready.then(release, release);
      else if (this.#held.length > 0) release();
      else this.#phase = "in";
    } catch (error) {
      this.#stop();
      throw error;
    }
  }

  /** Leave the room; the others are told, and one's open invitations into it are withdrawn. */
  async leave(): Promise<void> {
    if (this.#phase === "out") return;
    this.#stop();
    this.connection.invitations.withdraw(this.name);
    try {
      await this.connection.request({ action: "leave", room: this.name });
    } catch (error) {
      if (!(error instanceof ParleyError && (error.code === "not_member" || error.code === "closed")))
        throw error;
    }
  }

  /** Say something to the other members: any JSON. It is ordered and not stored. Rejects as `request` does. */
  async send(data: unknown): Promise<void> {
    await this.connection.request({ action: "send", room: this.name, data });
  }

  /**
   * Post chat; resolves once it is durable. Its way there is seen in `posts`, too.
   *
   * It survives interruptions: whether it had arrived is read from the stream before it is said again. Where
   * the stream cannot be read, it is given up with an `InterruptedError`. A refused one rejects with a
   * `RefusedError`, of code `too_large`, `rate_limited`, `not_allowed` or `not_member` for instance.
   *
   * `data` is any JSON that goes with it. `id` is made up if it is not given; post a failed one again under the same.
   */
  async chat(text: string, { id = newId(), data }: { id?: string; data?: unknown } = {}): Promise<Posted> {
    this.#posts.sending(id, text, data);
    try {
      const posted = await this.#post(text, id, data);
      this.#posts.sent(id, posted);
      return posted;
    } catch (error) {
      this.#posts.failed(id, error);
      throw error;
    }
  }

  /**
   * Read what was said before: each call returns the page before the last one's, starting with what was said
   * before this client joined.
   *
   * What is said while one is a member comes as `chat` by itself. Rejects with a `RefusedError` of code
   * `not_allowed` if the token does not grant `history` here, and with a `ParleyError` of code `unreachable`
   * if nobody answers; the next call asks for the same page then.
   */
  history(options: HistoryOptions = {}): Promise<HistoryPage> {
    const { before, limit = 50 } = options;
    if (before) return chatBefore(this.connection, this.name, before, limit);
    const page = this.#paging.then(() => this.#older(limit));
    this.#paging = page.catch(() => {});
    return page;
  }

  /**
   * Ask a member into the call of this room, for instance one of `dormant`.
   *
   * The other side hears the connection's event `invitation`. Needs the grant `direct`.
   */
  invite(connectionId: string, options: InviteOptions = {}): SentInvitation {
    return this.connection.invitations.invite(connectionId, this.name, options);
  }

  async #post(text: string, id: string, data: unknown): Promise<Posted> {
    const request = {
      action: "chat",
      room: this.name,
      id,
      text,
      ...(data === undefined ? {} : { data }),
    } as const;
    this.#posting.set(id, undefined);
    try {
      for (;;) {
        if (this.#phase === "rejoining") await this.#entered; // behind what was said earlier
        try {
          return await this.connection.request(request);
        } catch (error) {
          if (!(error instanceof InterruptedError)) throw error;
          await this.#entered;
          const posted = this.#posting.get(id);
          if (posted) return posted;
          if (this.#blind) throw error;
        }
      }
    } finally {
      this.#posting.delete(id);
    }
  }

  async #older(limit: number): Promise<HistoryPage> {
    const began = this.#began ?? this.place;
    const [page, fresh] = await Promise.all([
      this.#oldest
        ? chatBefore(this.connection, this.name, this.#oldest, limit)
        : chatUntil(this.connection, this.name, began, limit),
      this.#oldest ? [] : this.#justBefore(began),
    ]);
    const newest = page.messages.findLast(({ epoch }) => epoch === began.epoch)?.position ?? 0;
    const all = [...page.messages, ...fresh.filter(({ position }) => position > newest)];
    const messages = all.slice(-limit);
    this.#oldest = messages[0] ?? this.#oldest;
    return { messages, more: page.more || messages.length < all.length };
  }

  /**
   * The chat right before this client joined, from the room itself: history is told of everything a moment
   * later, and what it is not told yet is on no later page either. None where that is long ago.
   */
  async #justBefore({ epoch, position }: Place): Promise<PastChat[]> {
    if (this.place.epoch !== epoch || this.place.position - position >= TAIL) return [];
    const answer = await this.#ask({ epoch, position: Math.max(0, position - TAIL) });
    return answer.missed
      .filter((frame) => frame.type === "chat")
      .filter((chat) => answer.epoch === epoch && chat.position < position)
      .map((chat) => ({ ...chat, epoch }));
  }

  #receive(frame: RoomFrame): void {
    if (this.#phase === "in") this.#apply(frame);
    else this.#held.push(frame);
  }

  /** Take up what was held; of what the answer to the join has said already nothing happens again. */
  #release(): void {
    if (this.#phase === "out") return;
    this.#phase = "in";
    for (const frame of this.#held.splice(0)) this.#receive(frame);
    if (this.#renewed && this.#phase === "in") this.#rejoin();
  }

  #apply(frame: RoomFrame): void {
    switch (frame.type) {
      case "message":
        return this.emit("message", frame);
      case "member.changed":
        return this.#changed(frame);
      default:
        return this.#positioned(frame);
    }
  }

  #positioned(frame: Positioned): void {
    switch (standing(this.#membership, frame)) {
      case "known":
        return;
      case "gap":
        return this.#rejoin();
      case "next":
        return this.#next(frame);
    }
  }

  #next(frame: Positioned): void {
    if (frame.type === "member.left" && frame.connectionId === this.connection.connectionId)
      return this.#removed(frame);
    const before = this.#membership;
    this.#membership = this.#others(advance(before, frame));
    if (frame.type === "chat") return this.#chat(frame);
    this.#announce(before, frame.type === "member.left" ? frame.reason : "left");
  }

  #changed(frame: MemberChanged): void {
    this.#membership = change(this.#membership, frame);
    const member = this.members.get(frame.connectionId);
    if (!member) return;
    this.emit("changed", member);
    this.emit("members", undefined);
  }

  #chat(frame: Chat): void {
    if (this.connection.isSelf(frame.from) && this.#posting.has(frame.id)) {
      const { id, position, time } = frame;
      this.#posting.set(id, { room: this.name, id, position, time });
      this.#posts.sent(id, frame);
    }
    this.emit("chat", frame);
  }

  #announce(before: Membership, reason: LeaveReason): void {
    const { came, went } = difference(before.members, this.members);
    for (const member of went) {
      this.connection.invitations.left(member.connectionId, this.name);
      this.emit("left", { member, reason });
    }
    for (const member of came) this.emit("joined", member);
    if (came.length + went.length > 0) this.emit("members", undefined);
  }

  /** The server has ended this membership. An expired one was only out of sight for too long. */
  #removed(frame: MemberLeft): void {
    if (frame.reason === "expired") return this.#rejoin();
    this.#out(new RefusedError("removed", "You were removed from this room."));
  }

  #connectionRenewed(): void {
    this.#renewed = true;
    if (this.#phase === "in") this.#rejoin();
  }

  #rejoin(): void {
    this.#phase = "rejoining";
    this.#entered = this.#again();
  }

  async #again(): Promise<void> {
    const since = this.place;
    try {
      const answer = await this.#ask(since);
      const joinedAs = this.connection.connectionId;
      const older = answer.recovered ? [] : await chatBetween(this.connection, this.name, since, answer);
      if (this.#phase !== "rejoining") return;
      if (this.connection.connectionId !== joinedAs) return this.#again(); // renewed while history was read
      this.#rejoined(answer, older);
    } catch (error) {
      const wait = error instanceof RefusedError ? error.retryAfterMs : undefined;
      if (wait === undefined)
        return this.#out(error instanceof ParleyError ? error : new ParleyError("internal", String(error)));
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (this.#phase === "rejoining") return this.#again();
    }
  }

  /** `older` is what the answer does not hold, as far as it is known. */
  #rejoined(answer: Joined, older: Chat[] | undefined): void {
    const before = this.#membership;
    const renewed = this.#renewed;
    this.#renewed = false;
    this.#blind = older === undefined;
    this.#membership = this.#others(joined(answer));
    this.emit("rejoined", { recovered: !this.#blind, renewed });
    for (const frame of [...(older ?? []), ...answer.missed]) if (frame.type === "chat") this.#chat(frame);
    this.#announce(before, "left");
    this.#release();
  }

  async #ask(since?: Place): Promise<Joined> {
    return this.connection.request({
      action: "join",
      room: this.name,
      ...(since ? { since } : {}),
      ...(this.#metadata ? { metadata: this.#metadata } : {}),
    });
  }

  /** Without ourselves, and without what is left of us from before the connection was renewed. */
  #others(membership: Membership): Membership {
    const others = [...membership.members].filter(([id]) => !this.connection.isSelf(id));
    return { ...membership, members: new Map(others) };
  }

  #out(error: ParleyError): void {
    if (this.#phase === "out") return;
    this.#stop();
    this.emit("removed", error);
  }

  #stop(): void {
    this.#phase = "out";
    for (const stop of this.#stops) stop();
  }
}
