"""When somebody who comes back has missed nothing more."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from parley.gateway.connection import Back
from parley.gateway.deliveries import PER_MESSAGE
from parley.gateway.replay import Replay, Returning
from parley.gateway.websocket import HEADROOM
from parley.protocol.codes import ErrorCode
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.envelope import CloudEvent
from parley.protocol.outputs import Deliveries as Batch
from parley.protocol.outputs import Told
from parley.protocol.says import AnySay, Attached, Error, MemberLeft, Message, Ok

OLD, NEW = "parley.out.g1", "parley.out.g2"


class Connection:
    """A connection in its third session, as far as a replay knows one."""

    def __init__(self) -> None:
        self.id = "ana"
        self.session = self
        self.number = 3
        self.dialect = ParleyV1()
        self.socket = object()
        self.frames: list[Any] = []
        self.refs: list[str] = []
        self.rooms: set[str] = set()
        self.lives_since: int | None = None

    def write(self, prepared: bytearray, _note: object) -> None:
        self.frames.append(msgspec.json.decode(prepared[HEADROOM:]))

    def answered(self, ref: str) -> None:
        self.refs.append(ref)

    def is_in(self, rooms: Iterable[str]) -> None:
        self.rooms.update(rooms)

    def is_out_of(self, room: str | None) -> None:
        self.rooms.discard(room or "")

    def live(self, since: int) -> None:
        self.lives_since = since


@pytest.fixture
def ana() -> Connection:
    return Connection()


def replay(connection: Connection, *missing: int, n: int = 0) -> Replay:
    """Read for a connection whose home is partition 0, and to whom those *missing* have not spoken yet."""
    return Replay([Returning(connection, Back("ana", n), missing)])  # type: ignore[arg-type] # see Connection


def message(place: int, say: AnySay, partition: int = 0) -> bytes:
    event = CloudEvent(id="x", source="rooms", type="told", data=Told(place, 0, ("ana",), say))
    return msgspec.json.encode(Batch(partition=partition, events=[event]))


def hello(text: str) -> Message:
    return Message(room="r", from_="bob", data=msgspec.Raw(msgspec.json.encode(text)))


def attached(partition: int, session: int, *rooms: str) -> Attached:
    return Attached(partition=partition, session=session, rooms=rooms)


def left(room: str, who: str) -> MemberLeft:
    return MemberLeft(room=room, position=9, connection_id=who, reason="removed")


def test_all_partitions_must_have_spoken(ana: Connection) -> None:
    reading = replay(ana, 1, 2)

    reading.read(1, NEW, message(1, attached(0, 3)))
    reading.read(2, NEW, message(1, attached(1, 3), partition=1))
    assert ana.lives_since is None
    reading.read(3, NEW, message(1, attached(2, 3), partition=2))

    assert ana.lives_since == 3 * PER_MESSAGE + 1
    assert not reading


def test_what_a_partition_said_in_an_earlier_session_is_no_sign(ana: Connection) -> None:
    """Also where there is only one partition, and so none that is missing."""
    reading = replay(ana)

    reading.read(1, NEW, message(1, attached(0, 2)))
    reading.read(2, OLD, message(2, hello("missed")))
    assert ana.lives_since is None
    reading.read(3, NEW, message(3, attached(0, 3)))

    assert ana.lives_since is not None
    assert [frame["data"] for frame in ana.frames] == ["missed"]


def test_what_the_client_has_only_rebuilds_the_marks(ana: Connection) -> None:
    """An owner that was replaced says some of it again, behind what the client has."""
    reading = replay(ana, 1, n=2 * PER_MESSAGE)

    for sequence, place, text in ((1, 1, "one"), (2, 2, "two"), (3, 1, "one"), (4, 2, "two"), (5, 3, "three")):
        reading.read(sequence, OLD, message(place, hello(text)))

    assert [frame["data"] for frame in ana.frames] == ["three"]


def test_gateways_have_marks_of_their_own(ana: Connection) -> None:
    reading = replay(ana, 1)

    reading.read(1, OLD, message(5, hello("there")))
    reading.read(2, NEW, message(4, hello("here")))

    assert [frame["data"] for frame in ana.frames] == ["there", "here"]


def test_answers_are_remembered(ana: Connection) -> None:
    replay(ana, 1).read(1, OLD, message(1, Ok(ref="7")))

    assert ana.refs == ["7"]


def test_its_rooms_are_those_that_every_partition_says_it_is_in(ana: Connection) -> None:
    reading = replay(ana, 0, 1, 2)

    reading.read(1, OLD, message(1, left("a", "ana")))  # and joined again, before it moved
    reading.read(2, NEW, message(2, attached(0, 3, "a", "b")))
    reading.read(3, NEW, message(1, attached(1, 3, "c", "d"), partition=1))
    reading.read(4, NEW, message(2, left("c", "ana"), partition=1))
    reading.read(5, NEW, message(3, left("d", "bob"), partition=1))
    reading.read(6, NEW, message(3, Error(code=ErrorCode.ROOM_FULL, message="", room="b")))
    reading.read(7, NEW, message(1, attached(2, 2, "of an earlier session"), partition=2))

    assert ana.rooms == {"a", "d"}
