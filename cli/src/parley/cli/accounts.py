"""What each part of a running system says of connections, members and calls, at one moment: reading, no judging."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
import nats
import nats.errors
from nats.js.errors import APIError, NoKeysError, NotFoundError
from nats.js.kv import KeyValue

from parley.cli import ask
from parley.cli.problem import Problem
from parley.protocol import subjects

HELD: Final = "/v1/internal/connections"
SECONDS: Final = 5.0
_OK: Final = 200


class Session(NamedTuple):
    """Where a connection lives, and in which of its sessions."""

    gateway: str
    number: int


class Person(NamedTuple):
    """A connection of an app."""

    app: str
    id: str


class Membership(NamedTuple):
    """A connection in a room."""

    app: str
    room: str
    connection: str


class Part(NamedTuple):
    """A connection in a call."""

    call: str
    connection: str


class Held(msgspec.Struct, frozen=True, rename="camel"):
    """What a gateway says of a session."""

    connection_id: str
    session: int
    open: bool


class Holding(msgspec.Struct, frozen=True):
    """What a gateway says of itself."""

    gateway: str
    connections: list[Held]


@dataclass
class Accounts:
    """What was said. Of connections only those that live."""

    presence: dict[Person, Session] = field(default_factory=dict)
    homes: dict[Person, int] = field(default_factory=dict)
    """The partitions in which presence knows them."""
    rooms: dict[tuple[int, Person], Session] = field(default_factory=dict)
    """Each partition of rooms that has heard of a connection speaks for itself."""
    presence_members: set[Membership] = field(default_factory=set)
    homeless: set[tuple[str, str]] = field(default_factory=set)
    """Connections and rooms of memberships in presence whose connection does not live there."""
    rooms_members: dict[Membership, int] = field(default_factory=dict)
    """With the room's partition."""
    rooms_calls: dict[tuple[str, str], str] = field(default_factory=dict)
    """App and id of open calls, with the room."""
    rooms_parts: set[Part] = field(default_factory=set)
    presence_parts: set[Part] = field(default_factory=set)
    history_calls: dict[tuple[str, str], str] = field(default_factory=dict)
    graces: dict[str, float] = field(default_factory=dict)
    """Seconds for which owners have known that a gateway is lost."""
    holdings: dict[str, Holding] = field(default_factory=dict)
    """By gateway; of those that answered."""
    silent: list[str] = field(default_factory=list)
    """Addresses of gateways that did not."""
    leases: set[str] | None = None
    """Gateways that show signs of life; None if NATS could not be asked."""


class Witnesses:
    """Whom to ask."""

    def __init__(self, database: asyncpg.Connection, leases: KeyValue | None, gateways: Sequence[str]) -> None:
        self._database = database
        self._leases = leases
        self._gateways = gateways

    async def hear(self) -> Accounts:
        """Ask them all, as much at the same time as can be."""
        said = Accounts()
        try:
            await asyncio.gather(
                self._tables(said), self._signs_of_life(said), *(self._sockets(said, at) for at in self._gateways)
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise Problem(f"PostgreSQL cannot be read: {error}") from error
        return said

    async def _sockets(self, said: Accounts, address: str) -> None:
        try:
            answer = await ask.get(address, HELD, within=SECONDS)
            if answer.status != _OK:
                raise ConnectionRefusedError(answer.message)
            holding = msgspec.json.decode(answer.body, type=Holding)
        except (OSError, msgspec.DecodeError):
            said.silent.append(address)
        else:
            said.holdings[holding.gateway] = holding

    async def _signs_of_life(self, said: Accounts) -> None:
        if self._leases is None:
            return
        try:
            said.leases = set(await self._leases.keys())
        except NoKeysError:
            said.leases = set()
        except (nats.errors.Error, APIError, TimeoutError):
            said.leases = None

    async def _tables(self, said: Accounts) -> None:
        """Read all three schemas as they were at one moment."""
        async with self._database.transaction(isolation="repeatable_read", readonly=True):
            await self._presence(said)
            await self._rooms(said)
            for app, id_, room in await self._rows("select app, id, room from history.calls where ended_at is null"):
                said.history_calls[app, id_] = room

    async def _presence(self, said: Accounts) -> None:
        apps: dict[str, str] = {}
        for partition, app, id_, gateway, session in await self._rows(
            "select partition, app, id, gateway, session from presence.connections where closed_at is null"
        ):
            apps[id_] = app
            said.presence[Person(app, id_)] = Session(gateway, session)
            said.homes[Person(app, id_)] = partition
        for connection, room in await self._rows("select connection, room from presence.memberships"):
            if connection in apps:
                said.presence_members.add(Membership(apps[connection], room, connection))
            else:
                said.homeless.add((connection, room))
        for id_, calls in await self._rows("select id, calls from presence.profiles where cardinality(calls) > 0"):
            said.presence_parts |= {Part(call, id_) for call in calls}
        await self._lost(said, "presence")

    async def _rooms(self, said: Accounts) -> None:
        for partition, app, id_, gateway, session in await self._rows(
            "select partition, app, id, gateway, session from rooms.connections where closed_at is null"
        ):
            said.rooms[partition, Person(app, id_)] = Session(gateway, session)
        for partition, app, room, connection in await self._rows(
            "select partition, app, room, connection from rooms.members"
        ):
            said.rooms_members[Membership(app, room, connection)] = partition
        for app, room, text in await self._rows("select app, name, call::text from rooms.rooms where call is not null"):
            call = msgspec.json.decode(text)
            if call is None:
                continue
            said.rooms_calls[app, call["id"]] = room
            said.rooms_parts |= {
                Part(call["id"], part["connection"]) for part in call["parts"] if part["left_at"] is None
            }
        await self._lost(said, "rooms")

    async def _lost(self, said: Accounts, schema: str) -> None:
        age = "extract(epoch from clock_timestamp())::float8 - max(since) / 1000.0::float8"
        for gateway, seconds in await self._rows(f"select gateway, {age} from {schema}.lost_gateways group by gateway"):  # noqa: S608 - a name of ours
            said.graces[gateway] = min(seconds, said.graces.get(gateway, seconds))

    async def _rows(self, query: str) -> list[Any]:
        return await self._database.fetch(query)


@asynccontextmanager
async def witnesses(database: str, nats_url: str, gateways: Sequence[str]) -> AsyncIterator[Witnesses]:
    """Give whom to ask; PostgreSQL is read and nothing more, and NATS may be away."""
    connection = await _database(database)
    try:
        async with _leases(nats_url) as leases:
            yield Witnesses(connection, leases, gateways)
    finally:
        await connection.close()


async def _database(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(
            url,
            timeout=SECONDS,
            command_timeout=6 * SECONDS,
            server_settings={"application_name": "parley-doctor", "default_transaction_read_only": "on"},
        )
    except (asyncpg.PostgresError, OSError, ValueError) as error:
        raise Problem(
            f"PostgreSQL cannot be asked ({error or 'it does not answer'}): is DATABASE_URL right?"
        ) from error


@asynccontextmanager
async def _leases(url: str) -> AsyncIterator[KeyValue | None]:
    async def quiet(_: Exception) -> None:
        """Whoever asks hears of it."""

    try:
        async with asyncio.timeout(SECONDS):
            connection = await nats.connect(url, connect_timeout=2, max_reconnect_attempts=1, error_cb=quiet)
    except (TimeoutError, OSError, nats.errors.Error):
        yield None
        return
    try:
        try:
            bucket = await connection.jetstream().key_value(subjects.LEASES)
        except (NotFoundError, APIError, nats.errors.Error, TimeoutError):
            bucket = None
        yield bucket
    finally:
        await connection.close()
