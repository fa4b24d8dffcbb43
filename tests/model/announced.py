"""What EVENTS must hold at the end: everything once, in order, without gaps, and one end for each beginning."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from model.client import Life
from msgspec import Struct, json

from parley.kit.bus import Message

Members = Collection[tuple[str, str]]


class Fact(Struct):
    type: str
    sequence: str | None = None
    data: dict[str, Any] = {}


_fact = json.Decoder(Fact).decode


def differences(
    stored: Sequence[Message],
    wanted: Mapping[str, list[str]],
    lives: Sequence[Life],
    alive: Collection[str],
    members: Members,
) -> Iterator[str]:
    """Give what is not as it should be."""
    facts = [_fact(message.payload) for message in stored]
    yield from _order(stored, wanted)
    yield from _rooms(facts, members)
    yield from _connections(facts, alive)
    yield from _chats(facts, lives)
    yield from _reports(facts, lives)
    yield from (f"a command failed: {fact.data}" for fact in facts if fact.type == "event.failed")


def _order(stored: Sequence[Message], wanted: Mapping[str, list[str]]) -> Iterator[str]:
    """Of each key all facts are there, each once, in the order of the log."""
    found: dict[str, list[str]] = defaultdict(list)
    for message in stored:
        found[message.key].append(message.id or "")
    for key in sorted({*found, *wanted}):
        if found.get(key) != wanted.get(key):
            yield f"of {key} EVENTS has {found.get(key)}, and should have {wanted.get(key)}"


def _rooms(facts: Sequence[Fact], members: Members) -> Iterator[str]:
    """Sequences and positions have no gaps; each joined has one left."""
    counts: dict[str, list[int]] = {}
    there: set[tuple[str, str]] = set()
    for fact in facts:
        room = fact.data.get("room")
        if room is None:
            continue
        if fact.type == "room.created":
            counts[room] = [0, 0]
        count = counts.setdefault(room, [0, 0])
        count[0] += 1
        count[1] += "position" in fact.data
        if fact.sequence != str(count[0]) or fact.data.get("position", count[1]) != count[1]:
            yield f"{fact.type} of {room} is not the next after {count}: {fact}"
        place = room, fact.data.get("connectionId", "")
        if fact.type == "room.joined":
            if place in there:
                yield f"{place} joins twice"
            there.add(place)
        elif fact.type == "room.left":
            if place not in there:
                yield f"{place} leaves twice"
            there.discard(place)
    if there != set(members):
        yield f"EVENTS have the members {sorted(there)}, and clients say {sorted(members)}"


def _connections(facts: Sequence[Fact], alive: Collection[str]) -> Iterator[str]:
    """Each opened has one closed, but for those who live."""
    there: set[str] = set()
    for fact in facts:
        id_ = fact.data.get("connectionId", "")
        if fact.type == "connection.opened":
            if id_ in there:
                yield f"{id_} is opened twice"
            there.add(id_)
        elif fact.type == "connection.closed":
            if id_ not in there:
                yield f"{id_} is closed twice"
            there.discard(id_)
    if there != set(alive):
        yield f"EVENTS have {sorted(there)} opened, and {sorted(alive)} live"


def _chats(facts: Sequence[Fact], lives: Sequence[Life]) -> Iterator[str]:
    """A chat that was answered is there, and none is there twice."""
    posted = [
        (fact.data["room"], fact.data["connectionId"], fact.data["id"])
        for fact in facts
        if fact.type == "message.posted"
    ]
    if len(posted) != len(set(posted)):
        yield f"chat is there twice: {sorted(posted)}"
    for life in lives:
        for room, id_ in life.chats:
            if (room, life.id, id_) not in posted:
                yield f"chat {id_} of {life.id} in {room} is not there"


def _reports(facts: Sequence[Fact], lives: Sequence[Life]) -> Iterator[str]:
    """A report that was answered is there, and none is there twice."""
    told = [
        (fact.data["room"], fact.data["connectionId"], fact.data["peers"][0]["bytesSent"])
        for fact in facts
        if fact.type == "call.quality"
    ]
    if len(told) != len(set(told)):
        yield f"a report is there twice: {sorted(told)}"
    for life in lives:
        for room, k in life.reports:
            if (room, life.id, k) not in told:
                yield f"report {k} of {life.id} in {room} is not there"
