"""
What our code between a socket and the bus takes for one direct message, in microseconds of processor time.

    python -m benchmarks.loops

There is no socket and no NATS: a frame is given to its connection and ends in the writer, an owner reduces what came
and writes what it says, a gateway reads that and ends at the socket. Of several rounds the quickest fourth counts, so
that the rest of the machine is felt little. Processor time of the whole process: the sending of spans is in it.
"""

import asyncio
import os
import sys
import time
from typing import Any, Final

import msgspec

from parley.gateway.connection import Connection
from parley.gateway.deliveries import Deliveries
from parley.gateway.ingress import Bounds, Ingress
from parley.gateway.session import Rules as Limits
from parley.gateway.session import Session
from parley.kit.flow import Rate
from parley.kit.identity import Identity
from parley.kit.reader import Entry
from parley.kit.rounds import Rules
from parley.kit.telemetry import telemetry
from parley.kit.writer import Writer
from parley.protocol import ids
from parley.protocol.commands import Batch, Opened, Profile
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.envelope import CloudEvent
from parley.rooms.rooms import Rooms

MESSAGES: Final = 400
BATCH: Final = 20
ROUNDS: Final = 25
PARTITION: Final = 3
LIMIT: Final = 1 << 19
CREATED: Final = "2026-01-31T12:00:00+00:00"
ANA, BOB = (ids.connection_id(PARTITION, name) for name in (b"ana......", b"bob......"))
SIGNAL: Final = msgspec.json.encode({"action": "signal", "to": BOB, "data": {"n": 1, "sdp": "x" * 60}})


class Log:
    """The bus, as far as the writer needs one."""

    max_batch = LIMIT

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    async def publish(self, _subject: str, payload: bytes) -> int:
        self.payloads.append(payload)
        return 1


class Socket:
    def write(self, prepared: bytearray) -> None:
        """Forget it."""

    def start(self) -> None:
        """Nothing comes."""


class Lives:
    place = 0
    trouble = None

    def __init__(self, ingress: Ingress) -> None:
        self.put = ingress.put


class Path:
    """All that a direct message passes, in one process."""

    def __init__(self, log: Log, writer: Writer) -> None:
        self._log = log
        self._ingress = Ingress(writer, Bounds(bytes=1 << 30))
        lives: Any = Lives(self._ingress)
        self._connections = {id_: _connection(id_, lives) for id_ in (ANA, BOB)}
        self._deliveries = Deliveries(self._connections.get, lambda *_: None)
        self._rules = Rules("rooms", PARTITION, Rooms(16), limit=LIMIT)
        self._rules.begin(CREATED, 0, 0, {})
        self._sequence = 1
        opened = [_opened(id_) for id_ in (ANA, BOB)]
        list(self._rules.rounds([Entry(1, 1, "", msgspec.json.encode(Batch("g", 1, opened)))]))

    async def frames(self) -> list[bytes]:
        """Have all messages come in; return what the log has."""
        self._log.payloads.clear()
        for _ in range(MESSAGES // BATCH):
            for _ in range(BATCH):
                self._connections[ANA].received(SIGNAL)
            await self._ingress.drained()
        return list(self._log.payloads)

    def reduced(self, payloads: list[bytes]) -> list[bytes]:
        """Return what the owner makes of them."""
        said = []
        for payload in payloads:
            self._sequence += 1
            for round_ in self._rules.rounds([Entry(self._sequence, int(time.time() * 1000), "", payload)]):
                said += [message.payload for wave in round_.waves(PARTITION, LIMIT) for message in wave]
                for span in round_.spans:
                    span.end()
        return said

    def written(self, messages: list[bytes]) -> None:
        """Write it to the other's socket."""
        before = self._connections[BOB].frames_out
        for place, message in enumerate(messages):
            self._deliveries.read(self._sequence * MESSAGES + place, message)
        assert self._connections[BOB].frames_out - before == MESSAGES


def _connection(id_: str, lives: Any) -> Connection:
    limits = Limits(16, rate=Rate(1e9, 1e9))
    session = Session(id_, ParleyV1(), Identity.anonymous("default"), Profile(user_id="u"), limits, time.time())
    connection = Connection(session, lives, "", "")
    connection.socket = Socket()  # type: ignore[assignment] # as far as it is needed
    connection.live(0)
    return connection


def _opened(id_: str) -> CloudEvent[Any]:
    opened = Opened(app="default", connection=id_, profile=Profile(), dialect="parley.v1", resumable=True)
    return CloudEvent(id=id_, source="g", type="parley.opened", data=opened)


async def measured() -> dict[str, float]:
    """Return the microseconds of each part."""
    took: dict[str, list[float]] = {"frame": [], "owner": [], "delivery": []}
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    async with telemetry("loops", endpoint), asyncio.TaskGroup() as group:
        log = Log()
        writer = Writer(log, "g", group)  # type: ignore[arg-type] # as far as it needs one
        path = Path(log, writer)
        for _ in range(ROUNDS):
            moments = [time.process_time()]
            payloads = await path.frames()
            moments.append(time.process_time())
            said = path.reduced(payloads)
            moments.append(time.process_time())
            path.written(said)
            moments.append(time.process_time())
            for name, before, after in zip(took, moments, moments[1:], strict=False):
                took[name].append((after - before) / MESSAGES * 1e6)
            await asyncio.sleep(0.02)  # spans are sent
        writer.close()
    return {name: sorted(found)[len(found) // 4] for name, found in took.items()}


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(asyncio.run(measured())).decode() + "\n")
