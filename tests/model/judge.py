"""What must be true once all is quiet, held against what one owner makes of the log that never failed."""

from collections import defaultdict
from typing import TYPE_CHECKING, get_args

from model import announced
from model.client import Life
from model.owner import PARTITIONS, PRESENCE, ROOMS, Rules, Service
from model.streams import CREATED, readable
from msgspec import Struct, json

from parley.gateway.deliveries import PER_MESSAGE
from parley.kit.rounds import Round
from parley.protocol.ids import home_of
from parley.protocol.says import ToGateway

if TYPE_CHECKING:
    from model.installation import Installation

HIDDEN = frozenset(kind.__struct_config__.tag for kind in get_args(ToGateway))
"""What is said to gateways, and no client hears."""


class Kind(Struct):
    type: str


class Told(Struct):
    sequence: int
    index: int
    to: tuple[str, ...]
    say: Kind


class Delivery(Struct):
    data: Told


_delivery = json.Decoder(Delivery).decode


class Judge:
    """Looks at an installation at rest."""

    def __init__(self, installation: "Installation") -> None:
        self._all = installation
        self._wrong = installation.world.wrong
        self._alive: dict[str, Life] = {client.life.id: client.life for client in installation.clients if client.life}
        self._members = {(room, life.id) for life in self._alive.values() for room in life.rooms}
        """Who is in which room, as clients see it."""
        self._said: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        """What each connection was to be told by each partition: entry and index."""
        self._facts: dict[str, list[str]] = defaultdict(list)
        """Ids of what was to be announced, by key."""

    def look(self) -> None:
        self._written(ROOMS)
        self._written(PRESENCE)
        for client in self._all.clients:
            for life in client.lives:
                self._received(life)
        events = self._all.nats.events
        lives = [life for client in self._all.clients for life in client.lives]
        for words in announced.differences(events, self._facts, lives, self._alive, self._members):
            self._wrong(words)
        self._rooms()
        self._connections()

    def _written(self, service: Service) -> None:
        """What is written down is what the log says."""
        for partition, held in enumerate(self._all.database[service]):
            log, _ = self._all.nats.log(partition, service.classes)
            rules = Rules(self._all.world, service, partition)
            rules.begin(CREATED, 0, 0, {})
            for round_ in rules.rounds(log):
                self._note(partition, round_)
            for table, rows in zip(rules.state.tables(), held.rows, strict=True):
                told = dict(table.rows())
                if told != rows:
                    self._wrong(f"{service.name} {partition} has written {rows}, and the log says {told}")

    def _note(self, partition: int, round_: Round) -> None:
        for fact in round_.facts:
            self._facts[fact.key].append(fact.id or "")
        for deliveries in round_.deliveries.values():
            for encoded in deliveries:
                told = _delivery(encoded).data
                if told.say.type not in HIDDEN:
                    for receiver in told.to:
                        self._said[receiver, partition].append((told.sequence, told.index))

    def _received(self, life: Life) -> None:
        """Who lives has got everything, who is gone a beginning of it."""
        log = self._all.nats.deliveries
        got: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for n in life.got:
            sequence, index = divmod(n, PER_MESSAGE)
            batch = readable(sequence, log[sequence - 1].payload)
            event = batch.events[index]
            assert event is not None
            got[batch.partition].append((event.data.sequence, event.data.index))
        for partition in range(PARTITIONS):
            mine, said = got[partition], self._said[life.id, partition]
            if mine != said[: None if life.id in self._alive else len(mine)]:
                lost, more = sorted(set(said) - set(mine)), sorted(set(mine) - set(said))
                self._wrong(f"{life.id} got {mine} of partition {partition}, without {lost}, and {more}")

    def _rooms(self) -> None:
        """Rooms and presence know who is in which room, and how everybody presents itself."""
        shown = {
            (room, connection): row.profile.metadata
            for held in self._all.database[ROOMS]
            for (_, room, connection), row in held.rows[3].items()
        }
        listed = {(room, id_) for held in self._all.database[PRESENCE] for id_, room in held.rows[3]}
        for service, members in ("rooms", set(shown)), ("presence", listed):
            if members != self._members:
                self._wrong(f"{service} has the members {sorted(members)}, and clients say {sorted(self._members)}")
        known = {id_: row.metadata for held in self._all.database[PRESENCE] for id_, row in held.rows[2].items()}
        shown.update({("", id_): metadata for id_, metadata in known.items()})
        for (room, id_), metadata in shown.items():
            if id_ in self._alive and metadata != self._alive[id_].metadata:
                self._wrong(f"{id_} is shown in {room!r} as {metadata}, and is {self._alive[id_].metadata}")

    def _connections(self) -> None:
        """The registries agree with the sockets, and gateways hold nothing else."""
        here = {}
        for client in self._all.clients:
            socket, life = client.socket, client.life
            if socket is not None and life is not None and socket.listener is not None:
                here[life.id] = socket.gateway.name, socket.listener.session.number
        held = {
            (id_, (gateway.name, number)) for gateway in self._all.gateways for id_, number, _ in gateway.lives.held()
        }
        if held != set(here.items()):
            self._wrong(f"gateways hold {sorted(held)}, and clients have {sorted(here.items())}")
        for service, rows in self._all.database.items():
            for partition, row in enumerate(rows):
                live = {one.id: (one.gateway, one.session) for one in row.connections.values() if one.live}
                home = {id_: where for id_, where in here.items() if home_of(id_, PARTITIONS) == partition}
                if not home.items() <= live.items() <= here.items():
                    self._wrong(f"{service.name} {partition} has {live}, and clients live at {here}")
