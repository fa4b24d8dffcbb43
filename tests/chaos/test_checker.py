"""The checker finds what is wrong, one violation of each kind, and nothing where nothing is."""

from collections.abc import Callable

import msgspec
import pytest
from chaos.checker import check
from chaos.history import AnyRecord, Came, Event, Frame, Heard, History, Member, Posted, Read, Said, Went
from chaos.theatre import ROOM, Theatre
from chaos.violation import Promise
from msgspec.structs import replace


def told() -> History:
    """A story in which everything happens, and all is well."""
    theatre = Theatre()
    for client in ("ana", "bob", "cid"):
        theatre.comes(client)
        theatre.joins(client)
    theatre.comes_from_the_workshop("wes")
    theatre.sends("ana")
    theatre.sends("bob")
    theatre.sends("ana", ref=False)
    theatre.sends("ana")
    theatre.chats("bob")
    theatre.chats("wes")
    for _ in range(3):
        theatre.signals("ana", "bob")
    theatre.breaks("ana")
    theatre.resumes("ana")
    theatre.changes("ana")
    theatre.sends("bob")
    theatre.sends("bob")
    theatre.leaves("cid")
    theatre.sends("ana")
    theatre.goes("cid")
    return theatre.history


Spoil = Callable[[History], History]


def records(history: History, change: Callable[[list[AnyRecord]], None]) -> History:
    changed = list(history.records)
    change(changed)
    return replace(history, records=tuple(changed))


def heard(history: History, client: str, kind: str, **fields: object) -> list[int]:
    """Return where a client hears frames of a kind."""
    return [
        at
        for at, record in enumerate(history.records)
        if isinstance(record, Heard)
        and record.client == client
        and record.frame.type == kind
        and all(getattr(record.frame, name) == value for name, value in fields.items())
    ]


def without(client: str, kind: str, which: int = 0, **fields: object) -> Spoil:
    """A client has not heard something."""

    def spoil(history: History) -> History:
        at = heard(history, client, kind, **fields)[which]
        return replace(history, records=history.records[:at] + history.records[at + 1 :])

    return spoil


def reframed(client: str, kind: str, which: int = 0, **fields: object) -> Spoil:
    """A client has heard something else."""

    def spoil(history: History) -> History:
        at = heard(history, client, kind)[which]
        record = history.records[at]
        assert isinstance(record, Heard)
        changed = replace(record, frame=replace(record.frame, **fields))
        return replace(history, records=(*history.records[:at], changed, *history.records[at + 1 :]))

    return spoil


def again(client: str, kind: str, which: int = 0) -> Spoil:
    """A client has heard something twice, with a place of its own each time."""

    def spoil(history: History) -> History:
        at = heard(history, client, kind)[which]
        record = history.records[at]
        assert isinstance(record, Heard)
        twin = replace(record, frame=replace(record.frame, n=record.frame.n + 1))
        return replace(history, records=(*history.records[: at + 1], twin, *history.records[at + 1 :]))

    return spoil


def swapped(client: str, kind: str, first: int, second: int) -> Spoil:
    """A client has heard two things in the other order."""

    def spoil(history: History) -> History:
        at = heard(history, client, kind)
        one, other = history.records[at[first]], history.records[at[second]]
        assert isinstance(one, Heard)
        assert isinstance(other, Heard)
        changed = list(history.records)
        changed[at[first]] = replace(one, frame=replace(other.frame, n=one.frame.n))
        changed[at[second]] = replace(other, frame=replace(one.frame, n=other.frame.n))
        return replace(history, records=tuple(changed))

    return spoil


def not_resumed(history: History) -> History:
    def change(changed: list[AnyRecord]) -> None:
        for at, record in enumerate(changed):
            if isinstance(record, Came) and record.resumed:
                changed[at] = replace(record, resumed=False, connection="ANA2")

    return records(history, change)


def evicted(history: History) -> History:
    return replace(history, records=(*history.records, Went(client="bob", at=2000.0, how="evicted")))


def said_in_vain(history: History) -> History:
    frame = Frame(action="send", ref="late", room=ROOM, data={"by": "ana", "k": 999})
    return replace(history, records=(*history.records, Said(client="ana", at=2000.0, frame=frame)))


def refused(code: str) -> Spoil:
    def spoil(history: History) -> History:
        frame = Frame(action="send", ref="odd", room=ROOM, data={"by": "ana", "k": 999})
        answer = Frame(type="error", n=10_000, ref="odd", code=code)
        more = (Said(client="ana", at=2000.0, frame=frame), Heard(client="ana", at=2001.0, frame=answer))
        return replace(history, records=(*history.records, *more))

    return spoil


def plain_word_lost(history: History) -> History:
    """A word without ref is heard by nobody, though a later one on the same socket was answered."""
    lost = next(
        record.frame.data["k"]
        for record in history.records
        if isinstance(record, Said) and record.frame.action == "send" and record.frame.ref is None
    )
    kept = tuple(
        record
        for record in history.records
        if not (isinstance(record, Heard) and record.frame.type == "message" and record.frame.data["k"] == lost)
        and not (isinstance(record, Read) and record.text.endswith(f'"k":{lost}}}'))
    )
    return replace(history, records=kept)


def read_spoilt(change: Callable[[list[Read]], list[Read]]) -> Spoil:
    def spoil(history: History) -> History:
        texts = [record for record in history.records if isinstance(record, Read) and '"k"' in record.text]
        others = tuple(record for record in history.records if record not in texts)
        return replace(history, records=(*others, *change(texts)))

    return spoil


def events(change: Callable[[list[Event]], None]) -> Spoil:
    def spoil(history: History) -> History:
        changed = list(history.events)
        change(changed)
        return replace(history, events=tuple(changed))

    return spoil


def no_event(kind: str, connection: str = "") -> Spoil:
    def change(changed: list[Event]) -> None:
        whose = [event for event in changed if event.type == kind and connection in {"", event.data["connectionId"]}]
        changed.remove(whose[-1])

    return events(change)


def event_twice(kind: str) -> Spoil:
    def change(changed: list[Event]) -> None:
        at = next(at for at, event in enumerate(changed) if event.type == kind)
        changed.insert(at + 1, replace(changed[at], id="another"))

    return events(change)


def same_id_twice(history: History) -> History:
    return replace(history, events=(*history.events, history.events[-1]))


def tables(**fields: object) -> Spoil:
    return lambda history: replace(history, tables=replace(history.tables, **fields))


def rest(**fields: object) -> Spoil:
    return lambda history: replace(history, rest=replace(history.rest, **fields))


def chat_row_twice(history: History) -> History:
    posted = history.tables.posted
    return replace(history, tables=replace(history.tables, posted=(*posted, posted[0])))


def ghost_member(history: History) -> History:
    members = {ROOM: (*history.tables.members[ROOM], Member("GHOST", "online", {}))}
    return replace(history, tables=replace(history.tables, members=members))


def ghost_presence(history: History) -> History:
    ghost = replace(history.rest.present[0], connection="GHOST")
    return replace(history, rest=replace(history.rest, present=(*history.rest.present, ghost)))


def old_picture(history: History) -> History:
    first, *others = history.rest.present
    return replace(history, rest=replace(history.rest, present=(replace(first, availability="away"), *others)))


def refused_without_ref(code: str, n: int = 0, *, lost: bool = False) -> Spoil:
    """A word without ref is refused, and heard all the same."""

    def spoil(history: History) -> History:
        def change(changed: list[AnyRecord]) -> None:
            at = next(at for at, one in enumerate(changed) if isinstance(one, Said) and one.frame.ref is None)
            one = changed[at]
            before = [one.frame.n for one in changed[:at] if isinstance(one, Heard) and one.client == "ana"]
            refusal = Frame(type="error", code=code, n=max(before) + n if n else 0)
            changed.insert(at + 1, Heard(client=one.client, at=one.at, frame=refusal))

        return records(plain_word_lost(history) if lost else history, change)

    return spoil


def heard_from_outside(history: History) -> History:
    """Cid, who has left, is heard."""
    k = 999
    at = heard(history, "ana", "member.left")[0]
    n = max(one.frame.n for one in history.records[:at] if isinstance(one, Heard) and one.client == "bob")
    said = Said(client="cid", at=1999.0, frame=Frame(action="send", room=ROOM, data={"by": "cid", "k": k}))
    frame = Frame(type="message", n=n + 1000, room=ROOM, from_="CID", data={"by": "cid", "k": k})

    def change(changed: list[AnyRecord]) -> None:
        goes = next(at for at, one in enumerate(changed) if isinstance(one, Went) and one.client == "cid")
        changed.insert(goes, said)
        changed.append(Heard(client="bob", at=2000.0, frame=frame))

    return records(history, change)


SPOILT: dict[str, tuple[Spoil, str]] = {
    "a message is lost": (without("cid", "message"), "no loss"),
    "the last message is lost": (without("bob", "message", -1), "no loss"),
    "a message before the end of a stay is lost": (without("cid", "message", -1), "no loss"),
    "a chat is lost": (without("ana", "chat"), "positions"),
    "a signal is lost": (without("bob", "signal", 1), "no loss"),
    "the last signal is lost": (without("bob", "signal", 2), "no loss"),
    "a word without ref is lost": (plain_word_lost, "no loss"),
    "the workshop misses something": (read_spoilt(lambda texts: texts[:1] + texts[2:]), "order"),
    "the workshop misses the last": (read_spoilt(lambda texts: texts[:-1]), "no loss"),
    "the workshop reads something twice": (read_spoilt(lambda texts: [*texts, texts[0]]), "no doubles"),
    "the workshop reads out of order": (read_spoilt(lambda texts: texts[::-1]), "order"),
    "the workshop's words are lost": (no_event("message.posted"), "no loss"),
    "a message comes twice": (again("cid", "message"), "no doubles"),
    "a signal comes twice": (again("bob", "signal"), "no doubles"),
    "a frame is repeated after a resume": (reframed("ana", "message", -1, n=10), "no doubles"),
    "an answer comes twice": (again("bob", "ok", 2), "no doubles"),
    "a change is told twice": (again("bob", "member.changed"), "order"),
    "a sender's messages are swapped": (swapped("cid", "message", 0, 2), "order"),
    "two senders' messages are swapped": (swapped("cid", "message", 0, 1), "order"),
    "signals are swapped": (swapped("bob", "signal", 0, 1), "order"),
    "a message comes after what followed it": (swapped("ana", "message", 0, 1), "order"),
    "positions are swapped": (swapped("ana", "chat", 0, 1), "positions"),
    "a position says two things": (reframed("ana", "chat", text="something else"), "positions"),
    "a joined is not told": (without("bob", "member.joined"), "positions"),
    "a left is not told": (without("bob", "member.left"), "rest"),
    "the last left is not told": (without("ana", "member.left"), "rest"),
    "a change is not told": (without("bob", "member.changed"), "rest"),
    "nobody is answered": (said_in_vain, "answers"),
    "an answer to nobody": (reframed("ana", "ok", -1, ref="unheard"), "answers"),
    "answers are swapped": (swapped("bob", "ok", 1, 2), "order"),
    "a member is refused as none": (refused("not_member"), "refusals"),
    "a member is refused as none, without a ref": (refused_without_ref("not_member", n=1, lost=True), "refusals"),
    "a word without ref is refused for another reason": (refused_without_ref("internal", lost=True), "refusals"),
    "a word without ref is refused, and heard": (refused_without_ref("degraded"), "refusals"),
    "who has left is heard": (heard_from_outside, "strangers"),
    "a request breaks something": (refused("internal"), "refusals"),
    "a resume in time is refused": (not_resumed, "resume"),
    "a client is shut out": (evicted, "resume"),
    "a joined without left": (no_event("room.left"), "one left for every joined"),
    "a left without joined": (no_event("room.joined", "CID"), "one left for every joined"),
    "two lefts": (event_twice("room.left"), "one left for every joined"),
    "two joineds": (event_twice("room.joined"), "one left for every joined"),
    "an event is missing": (no_event("message.posted"), "events"),
    "an event is stored twice": (same_id_twice, "events"),
    "a connection is closed twice": (event_twice("connection.closed"), "events"),
    "a chat is posted twice": (event_twice("message.posted"), "chat"),
    "an acknowledged chat is not in the table": (tables(posted=()), "chat"),
    "an acknowledged chat is not in the list": (rest(posted=()), "chat"),
    "a chat is in the table twice": (chat_row_twice, "chat"),
    "a chat is in the table that nobody posted": (
        lambda history: replace(
            history,
            tables=replace(
                history.tables, posted=(*history.tables.posted, Posted(ROOM, "e", 99, "x", "ANA", "made up"))
            ),
        ),
        "chat",
    ),
    "a message for somebody else": (reframed("ana", "message", room="elsewhere"), "strangers"),
    "a signal that nobody sent": (reframed("bob", "signal", data={"by": "ana", "k": 999}), "strangers"),
    "a refused word is heard": (reframed("ana", "ok", 2, type="error", code="degraded"), "strangers"),
    "a ghost among the members": (ghost_member, "rest"),
    "a ghost in presence": (ghost_presence, "rest"),
    "a ghost in a partition": (tables(heard_of=("ANA", "BOB", "WES", "GHOST")), "rest"),
    "a member is missing": (rest(members={}), "rest"),
    "a gateway stays lost": (tables(lost=("gateway-x",)), "rest"),
    "presence shows how somebody was": (old_picture, "rest"),
    "a room stands elsewhere": (tables(rooms={ROOM: ("e", 1)}), "rest"),
}


def test_a_clean_history_is_clean() -> None:
    assert check(told()) == []


def test_nothing_happened() -> None:
    assert check(History()) == []


@pytest.mark.parametrize("name", SPOILT)
def test_finds(name: str) -> None:
    spoil, promise = SPOILT[name]

    found = check(spoil(told()))

    assert promise in {violation.promise for violation in found}, found


def test_who_was_away_for_the_grace_may_begin_anew() -> None:
    theatre = Theatre()
    theatre.comes("ana")
    theatre.breaks("ana")
    came = Came(client="ana", at=1100.0, connection="ANA2")

    found = check(replace(theatre.history, records=(*theatre.history.records, came)))

    assert "resume" not in {violation.promise for violation in found}


def test_the_end_of_a_dead_client_s_stream_is_nobody_s_loss() -> None:
    """Who fell silent for ever has not heard the last words, and that is as it must be."""
    theatre = Theatre()
    for client in ("ana", "bob"):
        theatre.comes(client)
        theatre.joins(client)
    theatre.sends("ana")
    theatre.sends("ana")
    theatre.goes("bob")
    history = theatre.history

    def spoil(changed: list[AnyRecord]) -> None:
        del changed[heard(history, "bob", "message")[-1]]

    assert check(records(history, spoil)) == []


def test_a_word_without_ref_that_was_refused_is_nobody_s_loss() -> None:
    history = plain_word_lost(told())
    refusal = Heard(client="ana", at=1000.0, frame=Frame(type="error", code="degraded"))

    def refuse(changed: list[AnyRecord]) -> None:
        said = next(at for at, one in enumerate(changed) if isinstance(one, Said) and one.frame.ref is None)
        changed.insert(said + 1, refusal)

    assert check(records(history, refuse)) == []


class Held:
    """Ana's frames are held, and taken together; then the log takes things again, and bob has to hear all."""

    def __init__(self) -> None:
        theatre = Theatre()
        for client in ("ana", "bob"):
            theatre.comes(client)
            theatre.joins(client)
        self._records = list(theatre.history.records)
        self._history = theatre.history
        self._k = 0
        self._n = 1000

    def says(self, ref: str | None = None, action: str = "send") -> int:
        self._k += 1
        data = {"by": "ana", "k": 500 + self._k} if action == "send" else None
        frame = Frame(action=action, ref=ref, room=ROOM, data=data)
        self._records.append(Said(client="ana", at=2000.0, frame=frame))
        return 500 + self._k

    def hears(self, client: str, **fields: object) -> None:
        self._n += 1
        frame = msgspec.convert({"n": self._n} | fields, Frame)
        self._records.append(Heard(client=client, at=2001.0, frame=frame))

    def bob_hears(self, k: int) -> None:
        self.hears("bob", type="message", room=ROOM, **{"from": "ANA"}, data={"by": "ana", "k": k})

    def refused(self, ref: str | None = None) -> None:
        self.hears("ana", type="error", code="degraded", ref=ref, n=0)

    @property
    def found(self) -> set[Promise]:
        """Which promises are broken, but for what rests on tables, which are as they were before all this."""
        found = check(replace(self._history, records=tuple(self._records)))
        return {violation.promise for violation in found} - {"rest", "events"}


def test_of_words_refused_together_each_is_known_by_its_place() -> None:
    held = Held()
    held.says(ref="first")
    held.says()  # lost, but refused
    held.says(ref="second")
    last = held.says()
    held.says(ref="third")
    held.refused("first")
    held.refused()
    held.refused("second")
    held.bob_hears(last)
    held.hears("ana", type="ok", ref="third")
    held.bob_hears(505)
    assert held.found == set()


def test_what_is_lost_behind_words_that_were_refused_is_lost() -> None:
    held = Held()
    held.says(ref="first")
    held.says()  # lost, but refused
    held.says(ref="second")
    held.says()  # lost
    held.says(ref="third")
    held.refused("first")
    held.refused()
    held.refused("second")
    held.hears("ana", type="ok", ref="third")
    held.bob_hears(505)
    assert held.found == {"no loss"}


def test_whose_joining_is_refused_while_it_leaves_speaks_from_outside() -> None:
    """It takes itself for a member until it is told that it has left, and is told then that it is none."""
    held = Held()
    held.says(ref="leave", action="leave")
    held.says(ref="join", action="join")
    held.refused("join")
    held.says()
    held.hears("ana", type="ok", ref="leave")
    held.hears("ana", type="error", code="not_member")
    held.hears("bob", type="member.left", room=ROOM, position=3, connectionId="ANA", reason="left")
    assert held.found - {"one left for every joined"} == set()


def test_who_has_asked_to_join_again_is_no_stranger() -> None:
    held = Held()
    held.says(ref="leave", action="leave")
    held.says(ref="join", action="join")
    held.says()
    held.hears("ana", type="ok", ref="leave")
    held.hears("ana", type="error", code="not_member")
    held.hears("ana", type="ok", ref="join", room=ROOM, epoch="e", position=4)
    assert "refusals" in held.found
