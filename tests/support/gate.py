"""A gateway in this process on a real NATS, its clients, and an owner that says what the test tells it to."""

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
import websockets
from support.eventually import eventually

from parley.gateway.__main__ import gateway
from parley.gateway.lease import lease
from parley.gateway.settings import Settings
from parley.kit.bus import Bus, nats_bus
from parley.kit.probes import Probes
from parley.kit.writer import writing
from parley.protocol import subjects
from parley.protocol.commands import AnyCommand, Asked, Batch
from parley.protocol.envelope import CloudEvent
from parley.protocol.outputs import Deliveries, Told
from parley.protocol.says import AnySay

if TYPE_CHECKING:
    from parley.gateway.server import Server

_batch = msgspec.json.Decoder(Batch).decode


class Client:
    """One socket; frames are objects, except where a test wants text."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}

    @property
    def id(self) -> str:
        return str(self.welcome["connectionId"])

    async def say(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str) else msgspec.json.encode(frame).decode())

    async def hear(self) -> Any:
        text = await asyncio.wait_for(self.socket.recv(), 30)
        return msgspec.json.decode(text)

    async def code(self) -> int | None:
        """Return the code that it is closed with."""
        await asyncio.wait_for(self.socket.wait_closed(), 30)
        return self.socket.close_code


class Gate:
    """A gateway on the NATS at an address, with the settings of a test."""

    name = "gate"

    def __init__(self, nats_url: str, **settings: Any) -> None:
        self.settings = Settings(**{"nats_url": nats_url, "mode": "development"} | settings)
        self.probes = Probes()
        self.server: Server
        self.bus: Bus
        self._exits = contextlib.AsyncExitStack()
        self._clients = contextlib.AsyncExitStack()
        self._said = 0

    async def __aenter__(self) -> Self:
        enter = self._exits.enter_async_context
        self.bus = await enter(nats_bus(self.settings.nats_url, "test gateway"))
        writer = await enter(writing(self.bus, self.name))
        await enter(lease(self.bus, self.name))
        self.server = await enter(gateway(self.settings, self.bus, writer, self.probes))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._clients.aclose()
        await self._exits.aclose()

    async def socket(self, path: str = "/", **options: Any) -> websockets.ClientConnection:
        url = f"ws://{self.server.address}{path}"
        socket = await websockets.connect(url, **{"ping_interval": None, "proxy": None, "max_size": None} | options)
        self._clients.push_async_callback(_hang_up, socket)
        return socket

    async def client(self, path: str = "/", **options: Any) -> Client:
        """Connect as one of ours, and be welcomed."""
        client = Client(await self.socket(path, **{"subprotocols": ["parley.v1"]} | options))
        client.welcome = await client.hear()
        assert client.welcome["type"] == "welcome", client.welcome
        return client

    async def workshop(self, path: str = "/prod", **options: Any) -> Client:
        """Connect as a client of API Gateway."""
        return Client(await self.socket(path, **options))

    async def commands(self, kind: type[AnyCommand] = Asked) -> list[Any]:
        """Return what the log holds, in its order within each partition, each batch once."""
        return [event.data for event in await self.events() if isinstance(event.data, kind)]

    async def events(self) -> list[CloudEvent[AnyCommand]]:
        info = await self.bus.js.stream_info(subjects.INGRESS)
        numbers: dict[str, int] = {}
        found: list[CloudEvent[AnyCommand]] = []
        for sequence in range(max(1, info.state.first_seq), info.state.last_seq + 1):
            message = await self.bus.js.get_msg(subjects.INGRESS, sequence, direct=False)
            assert message.data is not None
            assert message.subject is not None
            partition = message.subject.split(".")[2]
            batch = _batch(message.data)
            if batch.number > numbers.get(partition, 0):
                numbers[partition] = batch.number
                found += batch.events
        return found

    async def logged(self, kind: type[AnyCommand], count: int = 1) -> list[Any]:
        """Wait until the log holds as many commands of a kind."""
        found: list[Any] = []

        async def look() -> str | None:
            found[:] = await self.commands(kind)
            return None if len(found) >= count else f"{len(found)} of {count}: {found}"

        await eventually(look)
        return found

    async def unready(self) -> str | None:
        """Return why it is not ready."""
        return " ".join((await self.probes.missing()).values()) or None

    async def tell(self, say: AnySay, *to: str, partition: int = 0) -> None:
        """Say something to connections, as an owner does."""
        self._said += 1
        told = Told(sequence=self._said, index=0, to=to, say=say)
        event = CloudEvent(id=str(self._said), source="parley/rooms", type="parley.told", data=told)
        batch = Deliveries(partition=partition, events=[event])
        await self.bus.publish(subjects.deliveries(self.name), msgspec.json.encode(batch))


async def _hang_up(socket: websockets.ClientConnection) -> None:
    """Be gone, without waiting for a goodbye of a gateway that may not be reading."""
    socket.transport.abort()
    await socket.wait_closed()
