"""
What each alert warns of, brought about for the length of a block, and undone at its end.

Nothing is told to Prometheus that did not happen: processes are stopped, clients stay away too long, what another
version might have said is in the streams.
"""

import asyncio
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import nats
import psutil
from support.guests import Guest, Guests, guests
from support.instance import Instance
from websockets.exceptions import ConnectionClosed

from parley.cli.embedded import Server
from parley.cli.embedded.ports import LOOPBACK
from parley.protocol import subjects

LATE = 25
GRACE_SECONDS = 30
STILL_SECONDS = 90
"""When owners stop without PostgreSQL."""
CHATS_PER_SECOND = 80


class Stage:
    """One Parley with two gateways, on a PostgreSQL that can be stopped."""

    def __init__(self, parley: Instance, postgres: Server, certificate: "Certificate") -> None:
        self.parley = parley
        self.postgres = postgres
        self.certificate = certificate

    def http(self, name: str) -> list[str]:
        """Return where the processes of a service tell their metrics."""
        return [str(part["http"]) for part in self.parley.status()["parts"] if part["name"] == name]

    def gateway(self, replica: int) -> str:
        """Return where one of the gateways takes sockets."""
        return f"http://{self.parley.part('gateway', replica)['address']}"

    def process(self, name: str, replica: int = 0) -> psutil.Process:
        """Return the process of a part."""
        return psutil.Process(self.parley.part(name, replica)["pid"])


@asynccontextmanager
async def clients_come_back_too_late(stage: Stage) -> AsyncIterator[None]:
    """Have clients lose their network for longer than their grace, and come back."""
    async with guests(stage.parley.url) as crowd:
        gone = [await crowd.parley() for _ in range(LATE)]
        for guest in gone:
            guest.socket.transport.abort()
        await asyncio.sleep(GRACE_SECONDS + 10)
        for guest in gone:
            await crowd.parley(resume=guest.resume, n="0")
        yield


@asynccontextmanager
async def media_finds_no_path(stage: Stage) -> AsyncIterator[None]:
    """Have members report, as browsers do, that every third connection to a peer failed."""
    async with guests(stage.parley.url) as crowd:
        room = "no path"
        one, other = await _in_room(crowd, room), await _in_room(crowd, room)
        await one.asks("signal", to=other.id, data={"description": {"type": "offer", "sdp": "v=0"}})
        await other.asks("signal", to=one.id, data={"description": {"type": "answer", "sdp": "v=0"}})

        async def report() -> None:
            number = 0
            while True:
                number += 1
                state = "connected" if number % 3 else "failed"
                counts = {"bytesSent": 0, "bytesReceived": 0, "packetsReceived": 0, "packetsLost": 0}
                await one.says(
                    {"action": "report", "room": room, "peers": [{"connectionId": other.id, "state": state, **counts}]}
                )
                await asyncio.sleep(0.1)

        async with _meanwhile(report(), _listen(one), _listen(other)):
            yield


@asynccontextmanager
async def another_version_speaks(stage: Stage) -> AsyncIterator[None]:
    """Put into the streams what neither gateway nor history can read."""
    state = stage.parley.status()
    client = await nats.connect(state["nats"])
    async with guests(stage.parley.url) as crowd:
        await crowd.parley()
        try:
            js = client.jetstream()
            leases = await js.key_value(subjects.LEASES)
            for gateway in await leases.keys():
                await js.publish(subjects.deliveries(gateway), b'{"of": "a later version"}')
            await js.publish("parley.events.default.room.joined", b'{"of": "a later version"}')
            yield
        finally:
            await client.close()


@asynccontextmanager
async def all_of_history_hangs(stage: Stage) -> AsyncIterator[None]:
    """Stop the only process of history where it stands."""
    history = stage.process("history")
    history.suspend()
    try:
        yield
    finally:
        history.resume()


@asynccontextmanager
async def rooms_has_too_little_cpu(stage: Stage) -> AsyncIterator[None]:
    """Let the owner of all rooms run for two tenths of a second in two, while clients join."""
    rooms = stage.process("rooms")

    async def starve() -> None:
        while True:
            rooms.suspend()
            await asyncio.sleep(1.8)
            rooms.resume()
            await asyncio.sleep(0.2)

    async with guests(stage.parley.url) as crowd:
        joining = [await crowd.parley() for _ in range(10)]

        async def join(guest: Guest, number: int) -> None:
            times = 0
            while True:
                times += 1
                await guest.asks("join", room=f"late {number} {times % 5}")
                await guest.asks("leave", room=f"late {number} {times % 5}")
                await asyncio.sleep(0.2)

        try:
            async with _meanwhile(starve(), *(join(guest, number) for number, guest in enumerate(joining))):
                yield
        finally:
            rooms.resume()


@asynccontextmanager
async def postgresql_is_away(stage: Stage) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """
    Stop PostgreSQL while clients talk.

    Gives what is to be awaited for the second act: owners stand still, and a gateway with clients is killed.
    """
    room = "without rows"
    async with guests(stage.gateway(0)) as crowd, AsyncExitStack() as stack:
        speaker = await _in_room(crowd, room)
        doomed = await stack.enter_async_context(guests(stage.gateway(1)))
        doomed.app = crowd.app
        victims = [await _in_room(doomed, room) for _ in range(5)]
        await stack.enter_async_context(_meanwhile(_listen(speaker), *map(_listen, victims)))
        await stage.postgres.kill()
        began = asyncio.get_running_loop().time()

        async def speak() -> None:
            number = 0
            while True:
                number += 1
                await speaker.says({"action": "chat", "room": room, "id": f"c{number}", "text": "is it kept?"})
                await asyncio.sleep(1 / CHATS_PER_SECOND)

        async def kill_gateway() -> None:
            await asyncio.sleep(max(0.0, began + STILL_SECONDS + 5 - asyncio.get_running_loop().time()))
            stage.process("gateway", 1).send_signal(signal.SIGKILL)

        try:
            async with _meanwhile(speak()):
                yield kill_gateway
        finally:
            await stage.postgres.start()


class Certificate:
    """A server with TLS, which shows a certificate that ends when it is told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.address = ""

    def renew(self, days: int) -> None:
        """Show one that ends in so many days, from the next connection on."""
        key, shown = self._folder / "key.pem", self._folder / "shown.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days"]
        subprocess.run([*command, str(days), "-keyout", key, "-out", shown], check=True, capture_output=True)
        self._context.load_cert_chain(shown, key)

    @asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Listen for the length of the block."""

        async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        self.renew(90)
        server = await asyncio.start_server(hang_up, LOOPBACK, 0, ssl=self._context)
        self.address = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield


@asynccontextmanager
async def certificate_is_not_renewed(stage: Stage) -> AsyncIterator[None]:
    """Show clients a certificate that ends in ten days."""
    stage.certificate.renew(10)
    yield
    stage.certificate.renew(90)


async def _in_room(crowd: Guests, room: str) -> Guest:
    guest = await crowd.parley()
    await guest.asks("join", room=room)
    return guest


async def _listen(guest: Guest) -> None:
    with suppress(ConnectionClosed):
        async for _ in guest.socket:
            pass


@asynccontextmanager
async def _meanwhile(*work: Awaitable[None]) -> AsyncIterator[None]:
    """Do things for the length of the block; one that fails is no reason to stop, as it is what is to be seen."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception) and not isinstance(
                error, ConnectionClosed | httpx.HTTPError | TimeoutError
            ):
                raise error
