/** Who is in the room: in its call, or not, and then they can be invited. */

import type { Member } from "parley-client";
import { Microphone } from "../shared/icons";
import type { Conversation, Seat, Standing } from "./conversation";
import type { Asked } from "./invitations";
import { DORMANT, hue, initials, nameOf } from "./people";
import { figures, qualityWord } from "./quality";

interface Props {
  readonly conversation: Conversation;
}

const STANDINGS: readonly (readonly [Standing, string])[] = [
  ["call", "In the call"],
  ["online", "Only chatting"],
  ["busy", "Busy"],
  ["away", "Away"],
];

export function Roster({ conversation }: Props) {
  const seats = conversation.seats.value;
  const dormant = conversation.dormant.value;
  const inCall = conversation.inCall.value;
  return (
    <div class="roster">
      <section>
        <h3>You</h3>
        <div class="person">
          <Face name={conversation.name.value} />
          <bdi class="person-name">{conversation.name.value}</bdi>
          <select
            aria-label="Your availability"
            value={conversation.standing.value}
            onChange={(event) => void conversation.stand(event.currentTarget.value as Standing)}
          >
            {STANDINGS.map(([standing, words]) => (
              <option
                key={standing}
                value={standing}
                disabled={standing === "call" && conversation.full.value}
              >
                {words}
              </option>
            ))}
          </select>
        </div>
      </section>
      <section>
        <h3>In the call ({seats.length})</h3>
        {seats.length === 0 && <p class="hint">Nobody else.</p>}
        <ul>
          {seats.map((seat) => (
            <Caller key={seat.member.connectionId} seat={seat} />
          ))}
        </ul>
      </section>
      {dormant.length > 0 && (
        <section>
          <h3>Not in the call ({dormant.length})</h3>
          <ul>
            {dormant.map((member) => (
              <Dormant
                key={member.connectionId}
                conversation={conversation}
                member={member}
                inviting={inCall}
              />
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

function Caller({ seat }: { seat: Seat }) {
  const { quality, audio, name, sharing } = seat;
  return (
    <li class="person">
      <Face name={name} />
      <span class="person-name">
        <bdi>{name}</bdi>
        <span class="person-note">
          {sharing && "shares the screen · "}
          {quality ? `${qualityWord(quality.score)} connection · ${figures(quality)}` : "in the call"}
        </span>
      </span>
      {!audio && (
        <span class="soft" role="img" aria-label="microphone off">
          <Microphone off />
        </span>
      )}
    </li>
  );
}

function Dormant({ conversation, member, inviting }: Props & { member: Member; inviting: boolean }) {
  const { invitations } = conversation;
  const name = nameOf(member);
  const asked = invitations.sent.value.get(member.connectionId);
  return (
    <li class="person">
      <Face name={name} />
      <span class="person-name">
        <bdi>{name}</bdi>
        <span class="person-note">{asked ? outcome(asked) : DORMANT[member.availability]}</span>
      </span>
      {inviting &&
        (asked?.outcome === "asked" ? (
          <button
            type="button"
            class="quiet"
            aria-label={`Cancel the invitation of ${name}`}
            onClick={asked.withdraw}
          >
            Cancel
          </button>
        ) : (
          <button
            type="button"
            class="secondary person-invite"
            aria-label={`${asked ? "Invite again" : "Invite"}: ${name}`}
            onClick={() => void invitations.invite(member)}
          >
            {asked ? "Invite again" : "Invite"}
          </button>
        ))}
    </li>
  );
}

function Face({ name }: { name: string }) {
  return (
    <span class="face" data-hue={hue(name)} aria-hidden="true">
      {initials(name)}
    </span>
  );
}

function outcome({ outcome }: Asked): string {
  switch (outcome) {
    case "asked":
      return "invited, no answer yet…";
    case "accepted":
      return "accepted, joining…";
    case "declined":
      return "declined";
    case "unanswered":
      return "did not answer";
  }
}
