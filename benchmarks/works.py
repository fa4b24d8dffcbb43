"""What is measured. A work prepares its clients, then does round after round; each returns figures by name."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from itertools import islice
from statistics import median

from benchmarks.clients import Client, Crowd
from benchmarks.idlers import Idler, knock
from benchmarks.systems import System
from benchmarks.wires import Wrong, stamp, stamped

Figures = dict[str, float]
"""By name; "messages" is how many the processor time of the round is divided by."""

Round = Callable[[float], Awaitable[Figures]]
Work = Callable[[System], AbstractAsyncContextManager[Round]]

WARM_UP = 0.3
STRAGGLERS = 10.0
"""Seconds after which what has not come is lost."""

RATE = 1000
"""Messages a second where latency is measured: each stamped as it is written, none waits for another's answer."""

FAN_OUT_AHEAD = 16
"""Messages that the speaker of a large room has on their way."""


@asynccontextmanager
async def _pairs(system: System, number: int) -> AsyncIterator[tuple[Crowd, Sequence[tuple[Client, Client]]]]:
    """Connect *number* pairs; the bare loop's clients are each their own partner."""
    async with Crowd(system.address, system.wire, system.tokens) as crowd:
        if system.name == "bare loop":
            clients = await crowd.connect(number)
            pairs = list(zip(clients, clients, strict=True))
        else:
            clients = await crowd.connect(2 * number)
            pairs = list(zip(clients[::2], clients[1::2], strict=True))
        await system.rest()
        yield crowd, pairs


@asynccontextmanager
async def direct_latency(system: System, pairs: int = 100) -> AsyncIterator[Round]:
    """One client of each pair says something to the other now and then; how long is it on its way?"""
    async with _pairs(system, pairs) as (crowd, couples):
        due = [0] * pairs  # by pair: the number of the message that comes next
        said = [0] * pairs
        took: list[int] = []

        def heard(pair: int, text: bytes, at: int) -> None:
            now = time.monotonic_ns()
            sent, sender, number = stamped(text, at)
            if sender != pair or number != due[pair]:
                raise Wrong(f"Pair {pair} heard {number} of pair {sender}, and {due[pair]} was to come.")
            due[pair] += 1
            took.append(now - sent)

        for index, (_, hearer) in enumerate(couples):
            hearer.heard = partial(heard, index)

        def say(turn: int) -> None:
            index = turn % pairs
            speaker, hearer = couples[index]
            number, said[index] = said[index], said[index] + 1
            speaker.say(crowd.wire.signal(hearer.id, stamp(time.monotonic_ns(), index, number)))

        async def go(seconds: float) -> Figures:
            before = sum(said)
            await _paced(crowd, WARM_UP, say)
            await _come(crowd, lambda: sum(said) - sum(due), "messages")
            took.clear()
            await _paced(crowd, seconds, say)
            await _come(crowd, lambda: sum(said) - sum(due), "messages")
            return _percentiles(took) | {"messages": sum(said) - before}

        yield go


@asynccontextmanager
async def ping_pong(system: System, pairs: int) -> AsyncIterator[Round]:
    """Each pair throws one message to and fro; how many arrive?"""
    async with _pairs(system, pairs) as (crowd, couples):
        count = flying = 0
        going = False

        def throw(thrower: Client, index: int, catcher: Client, number: int) -> None:
            nonlocal flying
            flying += 1
            thrower.say(crowd.wire.signal(catcher.id, stamp(0, index, number)))

        def caught(index: int, due: list[int], catcher: Client, partner: Client, text: bytes, at: int) -> None:
            nonlocal count, flying
            _, sender, number = stamped(text, at)
            if sender != index or number != due[0]:
                raise Wrong(f"Pair {index} heard {number} of pair {sender}, and {due[0]} was to come.")
            due[0] += 1
            count += 1
            flying -= 1
            if going:
                throw(catcher, index, partner, number + 1)

        turns = [[0] for _ in couples]  # by pair: the number of the throw that comes next
        for index, (one, other) in enumerate(couples):
            for catcher, partner in ((one, other), (other, one)):
                catcher.heard = partial(caught, index, turns[index], catcher, partner)

        async def go(seconds: float) -> Figures:
            nonlocal going
            first, going = count, True
            for index, (one, other) in enumerate(couples):
                turns[index][0] = 0
                throw(one, index, other, 0)
            rate = await _rate(crowd, seconds, lambda: count)
            going = False
            await _come(crowd, lambda: flying, "messages")
            return {"rate": rate, "messages": count - first}

        yield go


@asynccontextmanager
async def fan_out(system: System, members: int = 500) -> AsyncIterator[Round]:
    """One speaks in a room of *members* others, always some messages ahead of the last to hear."""
    async with Crowd(system.address, system.wire, system.tokens) as crowd:
        speaker, *others = await crowd.connect(members + 1)
        await crowd.join(dict.fromkeys((speaker, *others), "benchmark"))
        await system.rest()
        said = count = 0
        going = False
        missing: dict[int, int] = {}  # by message: how many have not heard it

        def speak() -> None:
            nonlocal said
            missing[said] = members
            speaker.say(crowd.wire.send("benchmark", stamp(0, 0, said)))
            said += 1

        def heard(due: list[int], text: bytes, at: int) -> None:
            nonlocal count
            number = int(
                text[at + 30 : at + 40]
            )  # as `stamped` does, without what is not needed 150,000 times a second
            if number != due[0]:
                raise Wrong(f"A member heard message {number}, and {due[0]} was to come.")
            due[0] += 1
            count += 1
            missing[number] -= 1
            if missing[number] == 0:
                del missing[number]
                if going:
                    speak()

        for member in others:
            member.heard = partial(heard, [0])

        async def go(seconds: float) -> Figures:
            nonlocal going
            first, going = count, True
            for _ in range(FAN_OUT_AHEAD):
                speak()
            rate = await _rate(crowd, seconds, lambda: count)
            going = False
            await _come(crowd, lambda: sum(missing.values()), "deliveries")
            return {"rate": rate, "messages": count - first}

        yield go


class _Chat:
    """Rooms of two, in which both write; everybody hears everything, in order, and every message is acknowledged."""

    def __init__(self, crowd: Crowd, clients: Sequence[Client]) -> None:
        self.crowd = crowd
        self.clients = clients
        self.rooms = {client: f"benchmark-{index // 2}" for index, client in enumerate(clients)}
        self.said = self.acknowledged = self.heard = 0
        self.took: list[int] = []
        self.going = False  # whether an acknowledgment calls for the next message
        self._number = [0] * len(clients)  # by client: what it says next
        self._sent: list[dict[int, int]] = [{} for _ in clients]  # by client: when, of what is not acknowledged
        for index, client in enumerate(clients):
            client.heard = partial(self._hears, {client.index: 0, clients[index ^ 1].index: 0})
            client.answered = partial(self._acknowledges, index)

    def say(self, turn: int) -> None:
        index = turn % len(self.clients)
        client, number = self.clients[index], self._number[index]
        self._number[index] += 1
        self.said += 1
        now = self._sent[index][number] = time.monotonic_ns()
        client.say(self.crowd.wire.chat(self.rooms[client], stamp(now, client.index, number), number))

    async def settled(self) -> None:
        await _come(self.crowd, lambda: self.said - self.acknowledged, "acknowledgments")
        await _come(self.crowd, lambda: 2 * self.said - self.heard, "chat messages")

    def _hears(self, due: dict[int, int], text: bytes, at: int) -> None:
        _, sender, number = stamped(text, at)
        if number != due[sender]:
            raise Wrong(f"A member heard message {number} of {sender}, and {due[sender]} was to come.")
        due[sender] += 1
        self.heard += 1

    def _acknowledges(self, index: int, number: int) -> None:
        self.took.append(time.monotonic_ns() - self._sent[index].pop(number))
        self.acknowledged += 1
        if self.going:
            self.say(index)


@asynccontextmanager
async def _chat(system: System, rooms: int) -> AsyncIterator[_Chat]:
    async with Crowd(system.address, system.wire, system.tokens) as crowd:
        clients = await crowd.connect(2 * rooms)
        members = {client: f"benchmark-{index // 2}" for index, client in enumerate(clients)}
        await crowd.join(members)
        await system.rest()
        yield _Chat(crowd, clients)


@asynccontextmanager
async def chat_throughput(system: System, rooms: int = 100) -> AsyncIterator[Round]:
    """Everybody writes the next message when the last one was acknowledged; how many are?"""
    async with _chat(system, rooms) as chat:

        async def go(seconds: float) -> Figures:
            first, chat.going = chat.said, True
            for index in range(2 * rooms):
                chat.say(index)
            rate = await _rate(chat.crowd, seconds, lambda: chat.acknowledged)
            chat.going = False
            await chat.settled()
            await system.rest()  # history follows
            return {"rate": rate, "messages": chat.said - first}

        yield go


@asynccontextmanager
async def chat_latency(system: System, rooms: int = 100) -> AsyncIterator[Round]:
    """So many messages a second; how long until each is acknowledged?"""
    async with _chat(system, rooms) as chat:

        async def go(seconds: float) -> Figures:
            before = chat.said
            await _paced(chat.crowd, WARM_UP, chat.say)
            await chat.settled()
            chat.took.clear()
            await _paced(chat.crowd, seconds, chat.say)
            await chat.settled()
            return _percentiles(chat.took) | {"messages": chat.said - before}

        yield go


@asynccontextmanager
async def idle(system: System, connections: int, lots: int = 5) -> AsyncIterator[Round]:
    """Clients come as fast as they are welcomed, and then do nothing. One round: memory once used stays."""
    idlers: list[Idler] = []

    async def more(number: int) -> float:
        """Let so many come; return how many did in a second."""
        tokens = list(islice(system.tokens, number))  # made before the first knocks
        began = time.monotonic()
        idlers.extend(await knock(system.address, system.wire, tokens))
        return number / (time.monotonic() - began)

    async def go(_seconds: float) -> Figures:
        before = await system.resident_bytes()
        rates = [await more(connections // lots) for _ in range(lots)]
        await system.rest()
        grown = await system.resident_bytes() - before
        for idler in idlers:
            if idler.trouble is not None:
                raise idler.trouble
        fresh = connections // lots * lots
        return {"rate": median(rates), "kilobytes": grown / fresh / 1024, "messages": fresh}

    try:
        await more(100)  # what is loaded or compiled with the first is not the memory of a connection
        await system.rest()
        yield go
    finally:
        for idler in idlers:
            idler.leave()


async def _paced(crowd: Crowd, seconds: float, say: Callable[[int], None]) -> None:
    """Call *say* RATE times a second, whether anything comes back or not."""
    began = time.monotonic()
    total = int(seconds * RATE)
    turn = 0
    while turn < total:
        now_due = min(total, int((time.monotonic() - began) * RATE) + 1)
        while turn < now_due:
            say(turn)
            turn += 1
        await asyncio.sleep(0.001)
        crowd.look()


async def _rate(crowd: Crowd, seconds: float, count: Callable[[], int]) -> float:
    """Return how much *count* grows a second, once it has got going."""
    await crowd.during(WARM_UP)
    before, began = count(), time.monotonic()
    await crowd.during(seconds)
    return (count() - before) / (time.monotonic() - began)


async def _come(crowd: Crowd, missing: Callable[[], int], what: str) -> None:
    """Return when nothing is missing; what does not come is lost."""
    deadline = time.monotonic() + STRAGGLERS
    while missing() > 0:
        if time.monotonic() > deadline:
            raise Wrong(f"{missing():,} {what} were lost: they had not come after {STRAGGLERS:g} seconds.")
        await crowd.during(0.01)
    if missing() < 0:
        raise Wrong(f"{-missing():,} {what} came that nobody had sent, or came twice.")


def _percentiles(took: list[int]) -> Figures:
    """Return milliseconds of *took*, which are nanoseconds."""
    ranked = sorted(took)
    return {name: ranked[math.ceil(len(ranked) * share) - 1] / 1e6 for name, share in (("p50", 0.5), ("p99", 0.99))}
