"""One partition of rooms on paper: commands go in, and what was announced and delivered is collected."""

from collections.abc import Iterable
from typing import Any

from msgspec import Raw
from support.flat import flat

from parley.protocol.commands import AnyCommand, Asked, Closed, Opened, Profile
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.events import KINDS
from parley.protocol.ids import connection_id
from parley.protocol.outputs import Deliver, Fact, Forward, Output, Reply
from parley.protocol.requests import AnyRequest
from parley.rooms.rooms import Rooms


def id_of(name: str) -> str:
    """Return the connection id of somebody called *name*; its home is partition 0."""
    return connection_id(0, name.encode().ljust(9, b".")[:9])


class Partition:
    """A partition of rooms with a clock that the test turns."""

    def __init__(self) -> None:
        self.rooms = Rooms(16)
        self.now = 1_000_000
        self.sequence = 0
        self.outputs: list[Output] = []
        self.log: list[tuple[CloudEvent[AnyCommand], Place]] = []

    def take(self, command: AnyCommand, *, writer: str = "g1", partition: int = 0) -> list[Output]:
        """Reduce a command, and return what came of it."""
        self.sequence += 1
        event = CloudEvent(id=str(self.sequence), source="/test", type="test", data=command)
        at = Place(partition=partition, sequence=self.sequence, index=0, time=self.now, writer=writer)
        self.log.append((event, at))
        outputs = list(flat(self.rooms.reduce(event, at)))
        for table in self.rooms.tables():
            table.keep()
        self.outputs += outputs
        return outputs

    def opens(
        self, name: str, *, gateway: str = "g1", device: str | None = None, resumable: bool = True
    ) -> list[Output]:
        """Let somebody connect."""
        profile = Profile(user_id=name, device_id=device)
        return self.take(
            Opened(app="a", connection=id_of(name), profile=profile, dialect="parley.v1", resumable=resumable),
            writer=gateway,
        )

    def asks(self, name: str, request: AnyRequest, *, gateway: str = "g1", **stamps: Any) -> list[Output]:
        """Let somebody ask for something."""
        stamps.setdefault("profile", Profile(user_id=name))
        return self.take(Asked(app="a", connection=id_of(name), request=request, **stamps), writer=gateway)

    def closes(self, name: str, reason: Any = "disconnected") -> list[Output]:
        """Let somebody's socket close."""
        return self.take(Closed(app="a", connection=id_of(name), reason=reason, code=1000))


def heard(outputs: Iterable[Output], name: str) -> list[Any]:
    """Return what somebody is told; which kind of say it is, is what the test is about."""
    return [out.say for out in outputs if isinstance(out, Deliver) and id_of(name) in out.to]


def announced(outputs: Iterable[Output]) -> list[str]:
    """Return the types of the public events."""
    return [KINDS[type(out.data)] for out in outputs if isinstance(out, Fact)]


def facts(outputs: Iterable[Output]) -> list[Any]:
    """Return the public events."""
    return [out for out in outputs if isinstance(out, Fact)]


def forwards(outputs: Iterable[Output]) -> list[Any]:
    """Return what goes to other partitions."""
    return [out.command for out in outputs if isinstance(out, Forward)]


def replies(outputs: Iterable[Output]) -> list[Any]:
    """Return the answers to questions from outside."""
    return [out.body for out in outputs if isinstance(out, Reply)]


def raw(text: str) -> Raw:
    """Return JSON text as data."""
    return Raw(text.encode())
