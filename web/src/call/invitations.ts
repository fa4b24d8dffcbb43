/** Who of the room was asked into the call and what they say; and who asks us. */

import { signal } from "@preact/signals";
import type { Connection, Invitation, Member, Room } from "parley-client";
import type { Announcer } from "./announcer";
import { nameOf } from "./people";

export interface Asked {
  readonly outcome: "asked" | "accepted" | "declined" | "unanswered";
  readonly withdraw: () => void;
}

const OUTCOMES = {
  accepted: "accepted and joins the call.",
  declined: "declined.",
  unanswered: "did not answer.",
} as const;

const TIMEOUT_MS = 60_000;

export class Invitations {
  /** By connection id. */
  readonly sent = signal<ReadonlyMap<string, Asked>>(new Map());
  /** The one to answer now. */
  readonly received = signal<Invitation | undefined>(undefined);
  readonly #announcer: Announcer;
  #room: Room | undefined;

  constructor(announcer: Announcer) {
    this.#announcer = announcer;
  }

  /** Show invitations into this room; `takesPart` says whether we are in its call already. */
  follow(connection: Connection, room: Room, takesPart: () => boolean): void {
    this.#room = room;
    this.sent.value = new Map();
    connection.on("invitation", (invitation) => {
      if (invitation.room !== room.name || this.received.value) return;
      if (takesPart()) return void invitation.accept().catch(() => {});
      this.received.value = invitation;
      invitation.on("ended", () => {
        if (this.received.value !== invitation) return;
        this.received.value = undefined;
        if (invitation.state === "withdrawn")
          this.#announcer.show(`${from(invitation)} took the invitation back.`);
      });
    });
    room.on("left", ({ member }) => this.#forget(member.connectionId));
    room.on("changed", ({ connectionId, availability }) => {
      if (availability === "inCall" || availability === "available") this.#forget(connectionId);
    });
  }

  async invite(member: Member): Promise<void> {
    const room = this.#room;
    if (!room) return;
    const { connectionId } = member;
    const name = nameOf(member);
    const invitation = room.invite(connectionId, { timeoutMs: TIMEOUT_MS });
    let withdrawn = false;
    const withdraw = () => {
      withdrawn = true;
      invitation.withdraw();
      this.#forget(connectionId);
      this.#announcer.say(`${name} is not invited any more.`);
    };
    this.#note(connectionId, { outcome: "asked", withdraw });
    this.#announcer.say(`${name} is invited.`);
    const outcome = await invitation.answer.catch(() => "unanswered" as const);
    if (withdrawn) return;
    this.#note(connectionId, { outcome, withdraw });
    this.#announcer.show(`${name} ${OUTCOMES[outcome]}`);
  }

  /** Nobody waits for an answer any more. */
  end(): void {
    for (const { outcome, withdraw } of this.sent.value.values()) if (outcome === "asked") withdraw();
    this.received.value = undefined;
    this.#room = undefined;
  }

  #note(connectionId: string, asked: Asked): void {
    this.sent.value = new Map(this.sent.value).set(connectionId, asked);
  }

  #forget(connectionId: string): void {
    const sent = new Map(this.sent.value);
    if (sent.delete(connectionId)) this.sent.value = sent;
  }
}

export function from(invitation: Invitation): string {
  return invitation.member ? nameOf(invitation.member) : "Somebody";
}
