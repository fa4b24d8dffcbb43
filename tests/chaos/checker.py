"""
The checker: everything that clients said and heard, EVENTS, the tables and REST, held against the promises.

It knows nothing of how Parley works, only what is promised (design section 1, protocols.md section 0). Three facts do
most of the work. What a connection hears of one room comes in the room's one order, so where in a receiver's stream a
message stands says at which position of the room it was spoken, and everybody must agree on that. EVENTS says who
was a member at that position, so exactly those must have heard it. And what a connection says on one path is
processed in order, so whatever came before something answered was processed, too.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from chaos.history import History, Kept
from chaos.life import Life, Plain, Request, Stay, Stories
from chaos.refusals import settle
from chaos.violation import Key, Promise, Violation, key
from chaos.world import Incarnation, World


def check(history: History) -> list[Violation]:
    """Return every promise that was broken, the clients' own complaints first."""
    case = Case(history)
    found = [*case.world.complaints, *case.stories.complaints, *case.refused_for_nothing]
    for promise in PROMISES:
        found += promise(case)
    return found


@dataclass
class Spoken:
    """A message to a room, and at which of the room's positions everybody says that it was spoken."""

    room: str
    places: dict[tuple[str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    """Epoch and position, and according to whom."""


class Case:
    """A history, read."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.world = World(history.events)
        self.stories = Stories(history.records, history.grace, history.excused, self.world.who)
        self.lives = [life for life in self.stories.lives if life.dialect == "parley.v1"]
        self.refused_for_nothing = list(settle(self.lives))
        self.workshop = [life for life in self.stories.lives if life.dialect != "parley.v1"]
        self.by_id = self.stories.by_id
        self.stays = {
            (stay.room, stay.epoch, life.id, stay.joined): (life, stay) for life in self.lives for stay in life.stays
        }
        self.spoken = self._spoken()

    def _spoken(self) -> dict[Key, Spoken]:
        found: dict[Key, Spoken] = {}
        for life in self.lives:
            for stay in life.stays:
                for position, said in stay.items:
                    spoken = found.setdefault(said, Spoken(stay.room))
                    spoken.places[stay.epoch, position].append(life.client)
        return found

    def members_at(self, room: str, epoch: str, first: int, last: int) -> list[tuple[str, int]]:
        """Return who was a member from one position to another, and since when."""
        incarnation = self.world.rooms.get((room, epoch))
        if incarnation is None:
            return []
        return [(one.connection, one.joined) for one in incarnation.intervals if one.covers(first, last)]

    def missed(self, connection: str, since: int, room: str, epoch: str, position: int, said: Key) -> str | None:
        """Return whose fault it is that a member has not heard a message, None if it is nobody's."""
        if connection == said.sender:
            return None
        found = self.stays.get((room, epoch, connection, since))
        if found is None:
            return None  # one of the workshop's, or one that was gone before it heard of its own joining
        life, stay = found
        if said in stay.heard:
            return None
        whole = stay.ended or life.lasts
        return life.client if whole or stay.last > position else None


# each promise


def events_are_what_was_told(case: Case) -> Iterator[Violation]:
    """What clients were told of a place in a room is what EVENTS has there."""
    for (room, epoch, position), told in case.stories.told.items():
        incarnation = case.world.rooms.get((room, epoch))
        known = None if incarnation is None else incarnation.places.get(position)
        if known != told:
            yield Violation(
                "events", f"{room} ({epoch})", f"clients were told {told} at {position}, EVENTS has {known}"
            )


def stays_are_what_events_say(case: Case) -> Iterator[Violation]:
    """Who was told that it joined, or left, did."""
    for (room, epoch, connection, joined), (life, stay) in case.stays.items():
        incarnation = case.world.rooms.get((room, epoch))
        interval = None if incarnation is None else incarnation.by_place.get((connection, joined))
        who = f"{life.client} ({connection})"
        if interval is None:
            yield Violation("events", who, f"joined {room} at {epoch}:{joined}, and EVENTS does not know")
            continue
        gone = interval.left != float("inf")
        if stay.ended and not gone:
            yield Violation("one left for every joined", who, f"left {room}, and EVENTS has no room.left for it")
        if gone and not stay.ended and life.lasts:
            yield Violation("no loss", who, f"is not in {room} any more, and nobody told it")


def messages_have_one_place(case: Case) -> Iterator[Violation]:
    """Everybody heard a message at the same place of the room's stream."""
    for said, spoken in case.spoken.items():
        if len(spoken.places) > 1:
            yield Violation("order", str(said), f"was heard in {spoken.room} at {dict(spoken.places)}")


def messages_have_one_order(case: Case) -> Iterator[Violation]:
    """There is one order of a room's messages that everybody's agrees with, and it keeps each sender's."""
    graphs: dict[tuple[str, str], dict[Key, set[Key]]] = defaultdict(lambda: defaultdict(set))
    for life in case.lives:
        for stay in life.stays:
            graph = graphs[stay.room, stay.epoch]
            last: dict[str, int] = {}
            for (_, earlier), (_, later) in zip(stay.items, stay.items[1:], strict=False):
                graph[later].add(earlier)
            for _, said in stay.items:
                if said.k <= last.get(said.sender, 0):
                    yield Violation("order", life.client, f"heard {said} in {stay.room} after {last[said.sender]}")
                last[said.sender] = max(said.k, last.get(said.sender, 0))
    for (room, epoch), graph in graphs.items():
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            yield Violation("order", f"{room} ({epoch})", f"receivers disagree on the order of {error.args[1][:6]}")


def members_hear_what_was_spoken(case: Case) -> Iterator[Violation]:
    """Whoever was a member when a message was spoken has heard it."""
    for said, spoken in case.spoken.items():
        (epoch, position), *_ = spoken.places
        for connection, since in case.members_at(spoken.room, epoch, position, position):
            loser = case.missed(connection, since, spoken.room, epoch, position, said)
            if loser is not None:
                place = f"{spoken.room} at {epoch}:{position}"
                yield Violation("no loss", f"{loser} ({connection})", f"has not heard {said} in {place}")


def plain_words_are_heard(case: Case) -> Iterator[Violation]:
    """What was said without a ref is lost at most with the gateway that it was said to."""
    for life in case.lives:
        for plain in life.plain:
            said = key(life.id, plain.frame.data)
            sure = _sure(life, plain)
            if plain.refused or plain.outside or said is None or said in case.spoken:
                continue
            if sure is None or plain.after is None:
                continue
            epoch, first = plain.after
            stay = sure[0]
            if stay.epoch != epoch:
                continue
            for connection, since in case.members_at(stay.room, epoch, first, sure[1]):
                if connection == life.id:
                    continue
                loser = case.missed(connection, since, stay.room, epoch, first, said)
                if loser is not None:
                    yield Violation("no loss", f"{loser} ({connection})", f"has not heard {said}, said without ref")


def _sure(life: Life, plain: Plain) -> tuple[Stay, int] | None:
    """Return the stay in which a plain word was surely processed, and the latest position for it."""
    for request in life.requests.values():
        frame = request.frame
        if (
            request.order > plain.order
            and frame.action == "send"
            and frame.room == plain.frame.room
            and request.ok
            and request.sockets == [plain.socket]
            and request.answered_on == plain.socket
        ):
            said = key(life.id, frame.data)
            for stay in life.stays:
                for position, item in stay.items:
                    if item == said:
                        return stay, position
    return None


def refused_words_are_not_heard(case: Case) -> Iterator[Violation]:
    """What was refused has had no effect."""
    for life in case.lives:
        for request in life.requests.values():
            said = key(life.id, request.frame.data)
            if said is None or request.answer is None or request.ok:
                continue
            if said in case.spoken:
                yield Violation("strangers", life.client, f"{said} was refused ({request.answer.code}), and heard")
        for plain in life.plain:
            said = key(life.id, plain.frame.data)
            if plain.outside and said in case.spoken:
                yield Violation("strangers", life.client, f"{said} was said to a room that it had left, and heard")


def requests_are_answered(case: Case) -> Iterator[Violation]:
    """Who is still there has an answer to all it asked."""
    for life in case.lives:
        waiting = [ref for ref, request in life.requests.items() if request.answer is None]
        if life.lasts and waiting:
            yield Violation("answers", f"{life.client} ({life.id})", f"was not answered {waiting[:10]}")


def signals_arrive(case: Case) -> Iterator[Violation]:
    """What was said directly arrives once, in order, and all of it."""
    sent: dict[tuple[str, str], list[Request]] = defaultdict(list)
    for life in case.lives:
        for request in life.requests.values():
            if request.frame.action == "signal":
                sent[life.id, request.frame.to].append(request)
    for (sender, to), requests in sent.items():
        receiver = case.by_id.get(to)
        if receiver is not None and receiver.dialect == "parley.v1":
            yield from _signals(case, sender, receiver, requests)
    for life in case.lives:
        for sender in life.signals:
            if (sender, life.id) not in sent:
                yield Violation("strangers", life.client, f"heard signals of {sender}, who sent it none")


def _signals(case: Case, sender: str, receiver: Life, requests: list[Request]) -> Iterator[Violation]:
    numbered = {request.frame.data["k"]: request for request in requests}
    heard = receiver.signals.get(sender, [])
    who = f"{receiver.client} ({receiver.id})"
    for number, count in Counter(heard).items():
        request = numbered.get(number)
        if count > 1:
            yield Violation("no doubles", who, f"heard signal {number} of {sender} {count} times")
        if request is None:
            yield Violation("strangers", who, f"heard signal {number} of {sender}, who has not sent it")
        elif request.answer is not None and not request.ok:
            yield Violation("strangers", who, f"heard signal {number} of {sender}, who was refused")
    if heard != sorted(heard):
        yield Violation("order", who, f"heard the signals of {sender} in the order {heard}")
    known, last = set(heard), max(heard, default=0)
    for number, request in numbered.items():
        if request.ok and number not in known and (receiver.lasts or number < last):
            yield Violation("no loss", who, f"has not heard signal {number} of {sender}, who was told ok")
        if request.answer is not None and request.answer.code == "gone" and receiver.id not in case.world.closed:
            yield Violation("refusals", sender, f"was told that {receiver.id} is gone, and it is there")


def presence_is_shown_in_order(case: Case) -> Iterator[Violation]:
    """How somebody is, is shown once and never goes back, unless they had to say it again.

    Presence is a state that several partitions show. One that its sender had to repeat may have been seen in some
    room already, though the sender's home never heard of it; then it is taken back until it is repeated.
    """
    for client, connection, k, what in case.stories.doubts:
        life = case.by_id.get(connection)
        repeated = life is not None and any(
            len(request.sockets) > 1
            for request in life.requests.values()
            if request.frame.action == "presence" and request.frame.metadata == {"k": k}
        )
        if not repeated:
            yield Violation("order", client, f"was shown how {connection} is: {what}")


def chat_is_kept_once(case: Case) -> Iterator[Violation]:
    """What was acknowledged is in EVENTS and in history, once; what was refused is in neither."""
    for kept, where in ((case.history.tables, "the table"), (case.history.rest, "REST")):
        yield from _same("chat", where, Counter(kept.posted), Counter(case.world.posted))
    for life in case.lives:
        for request in life.requests.values():
            if request.frame.action == "chat":
                yield from _chat(case, life, request)
    for (room, connection, id_), posted in case.world.by_id.items():
        if len(posted) > 1:
            yield Violation("chat", str(connection), f"has posted {id_} in {room} {len(posted)} times")


def _chat(case: Case, life: Life, request: Request) -> Iterator[Violation]:
    frame, answer = request.frame, request.answer
    found = case.world.by_id.get((frame.room, life.id, frame.id), [])
    who = f"{life.client} ({life.id})"
    if answer is None:
        return
    if request.ok and [posted.position for posted in found] != [answer.position]:
        yield Violation("chat", who, f"has its {frame.id} acknowledged at {answer.position}, EVENTS has {found}")
    if request.ok and any(posted.text != frame.text for posted in found):
        yield Violation("chat", who, f"has said {frame.text}, EVENTS has {found}")
    if not request.ok and found:
        yield Violation("chat", who, f"was refused {frame.id} ({answer.code}), EVENTS has {found}")


def workshop_hears_and_is_heard(case: Case) -> Iterator[Violation]:
    """Clients without resume lose at most the end of what they say and hear, when their socket breaks."""
    whose = {
        (life.client, said.k): life.id
        for life in case.lives
        for said in [key(life.id, frame.data) for frame in _frames(life)]
        if said is not None
    }
    for life in case.workshop:
        whose |= {(life.client, plain.frame.data["k"]): life.id for plain in life.plain if plain.frame.data}
    for life in case.workshop:
        yield from _workshop_says(case, life)
        yield from _workshop_hears(case, life, whose)


def _frames(life: Life) -> Iterator[Any]:
    for request in life.requests.values():
        yield request.frame
    for plain in life.plain:
        yield plain.frame


def _workshop_says(case: Case, life: Life) -> Iterator[Violation]:
    said = [plain.frame.data["k"] for plain in life.plain if plain.frame.action == "sendMsgToRoom"]
    posted = [k for one in case.world.posted if one.connection == life.id if (k := _number(one.text)) is not None]
    if life.refused:
        if posted != sorted(set(posted)):
            yield Violation("order", life.client, f"has said {said}, and was heard to say {posted}")
    elif posted != said[: len(posted)]:
        yield Violation("order", life.client, f"has said {said}, and was heard to say {posted}")
    elif life.lasts and not life.broke and len(posted) < len(said):
        yield Violation("no loss", life.client, f"has said {said}, and only {len(posted)} of it were heard")


def _workshop_hears(case: Case, life: Life, whose: dict[tuple[str, int], str]) -> Iterator[Violation]:
    read = [Key(whose[said], said[1]) for said in life.texts if said in whose]
    if len(read) < len(life.texts):
        yield Violation("strangers", life.client, f"has read {set(life.texts) - set(whose)}, which nobody said")
    if len(set(read)) < len(read):
        twice = [str(said) for said, count in Counter(read).items() if count > 1]
        yield Violation("no doubles", life.client, f"has read {twice[:5]} more than once")
    wanted: dict[str, list[int]] = defaultdict(list)
    for said in _spoken_to(case, life):
        if said.sender != life.id:
            wanted[said.sender].append(said.k)
    got: dict[str, list[int]] = defaultdict(list)
    for said in read:
        got[said.sender].append(said.k)
    for sender in wanted.keys() | got.keys():
        due, had = sorted(wanted[sender]), got[sender]
        if had != due[: len(had)]:
            yield Violation("order", life.client, f"has read {had} of {sender}, who said {due} while it was there")
        elif life.lasts and not life.broke and len(had) < len(due):
            yield Violation("no loss", life.client, f"has read {had} of {sender}, who said {due} while it was there")


def _spoken_to(case: Case, life: Life) -> Iterator[Key]:
    """Yield what was spoken in a room while one of the workshop's was there."""
    for incarnation in case.world.rooms.values():
        intervals = [one for one in incarnation.intervals if one.connection == life.id]
        if not intervals:
            continue
        for said, (epoch, position) in _all_words(case, incarnation):
            if epoch == incarnation.epoch and any(one.covers(position, position) for one in intervals):
                yield said


def _all_words(case: Case, incarnation: Incarnation) -> Iterator[tuple[Key, tuple[str, int]]]:
    for said, spoken in case.spoken.items():
        if spoken.room == incarnation.room:
            yield said, next(iter(spoken.places))
    for posted in case.world.posted:
        number = _number(posted.text)
        if posted.room == incarnation.room and number is not None and posted.connection is not None:
            yield Key(posted.connection, number), (posted.epoch, posted.position)


def _number(text: str) -> int | None:
    """Return the number in a chat's text; the clients of this suite write one into each."""
    head, _, tail = text.partition('"k":')
    digits = tail.partition("}")[0].strip()
    return int(digits) if head and digits.isdecimal() else None


def everything_agrees_at_rest(case: Case) -> Iterator[Violation]:
    """Presence, rooms, EVENTS, REST and what clients believe are the same: nobody is missing, nobody is a ghost."""
    alive = [life for life in case.stories.lives if life.lasts]
    believed: dict[str, set[str]] = defaultdict(set)
    for life in alive:
        for room in [life.room] if life.room else life.here:
            believed[room].add(life.id)
    yield from _same("rest", "EVENTS' connections", set(case.world.opened) - case.world.closed, _ids(alive))
    members = {name: set(room.members) for name, room in case.world.open.items()}
    yield from _same("rest", "EVENTS' members", members, dict(believed))
    for kept, where in ((case.history.tables, "the tables'"), (case.history.rest, "REST's")):
        yield from _kept(kept, where, alive, believed)
    yield from _same("rest", "rooms' connections", set(case.history.tables.heard_of), _ids(alive))
    yield from _same("rest", "the lost gateways", set(case.history.tables.lost), set())
    for life in alive:
        yield from _own_view(case, life)


def _ids(lives: Iterable[Life]) -> set[str]:
    return {life.id for life in lives}


def _kept(kept: Kept, where: str, alive: list[Life], believed: dict[str, set[str]]) -> Iterator[Violation]:
    present = {one.connection: one for one in kept.present}
    if len(present) < len(kept.present):
        yield Violation("rest", where, "connections are listed more than once")
    yield from _same("rest", f"{where} connections", set(present), _ids(alive))
    members = {room: {member.connection_id for member in there} for room, there in kept.members.items() if there}
    yield from _same("rest", f"{where} members", members, dict(believed))
    for life in alive:
        one = present.get(life.id)
        if one is None:
            continue
        rooms = {room for room, there in believed.items() if life.id in there}
        yield from _same("rest", f"{where} rooms of {life.client} ({life.id})", set(one.rooms), rooms)
        if life.dialect == "parley.v1":
            own = {"availability": life.availability, "metadata": life.metadata}
            shown = {"availability": one.availability, "metadata": one.metadata}
            yield from _same("rest", f"{where} picture of {life.client} ({life.id})", shown, own)
            for room, there in kept.members.items():
                for member in there:
                    if member.connection_id == life.id:
                        shown = {"availability": member.availability, "metadata": member.metadata}
                        yield from _same("rest", f"{where} picture of {life.client} in {room}", shown, own)


def _own_view(case: Case, life: Life) -> Iterator[Violation]:
    """Yield where what was told to one client, put together, is not what a newcomer would be told."""
    tables = case.history.tables
    for room, stay in life.here.items():
        who = f"{life.client} ({life.id}) in {room}"
        yield from _same("rest", f"the place of {who}", (stay.epoch, stay.last), tables.rooms.get(room))
        others = {member.connection_id: member for member in tables.members.get(room, ())}
        others.pop(life.id, None)
        yield from _same("rest", f"the others of {who}", stay.members, others)


def _same(promise: Promise, what: str, found: Any, wanted: Any) -> Iterator[Violation]:
    if found == wanted:
        return
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in found.keys() | wanted.keys():
            yield from _same(promise, f"{what}: {name}", found.get(name), wanted.get(name))
    elif isinstance(found, Counter | set) and isinstance(wanted, Counter | set):
        more, less = found - wanted, wanted - found  # type: ignore[operator] # both are of one kind
        yield Violation(promise, what, f"too many: {list(more)[:5]}, missing: {list(less)[:5]}")
    else:
        yield Violation(promise, what, f"{found}, and not {wanted}")


PROMISES: tuple[Callable[[Case], Iterator[Violation]], ...] = (
    events_are_what_was_told,
    stays_are_what_events_say,
    messages_have_one_place,
    messages_have_one_order,
    members_hear_what_was_spoken,
    plain_words_are_heard,
    refused_words_are_not_heard,
    requests_are_answered,
    signals_arrive,
    presence_is_shown_in_order,
    chat_is_kept_once,
    workshop_hears_and_is_heard,
    everything_agrees_at_rest,
)
