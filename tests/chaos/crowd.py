"""
Clients in a process of their own.

``python -m chaos.crowd`` reads what it is in one JSON line, then one word at a time: ``quiet`` (say nothing new, and
say ``settled`` when all is answered), ``leave`` (say goodbye, and end). It ends when its input does.
"""

import asyncio
import sys
import time
from pathlib import Path
from random import Random

import msgspec
import uvloop
from chaos.guest import Guest
from chaos.history import Book
from chaos.speaker import Speaker
from msgspec import Struct

LOOK_SECONDS = 0.2


class Cast(Struct, frozen=True):
    """Who is in a crowd, and what it does."""

    seed: int
    speakers: tuple[str, ...]
    guests: tuple[str, ...]
    doors: tuple[str, ...]
    rooms: tuple[str, ...]
    rate: float
    """Of things said, by all together, each second."""
    book: str


class Crowd:
    """All clients of one process."""

    def __init__(self, cast: Cast, book: Book) -> None:
        def new(kind: type[Speaker] | type[Guest], name: str) -> Speaker | Guest:
            return kind(name, cast.doors, cast.rooms, Random(f"{cast.seed} {name}"), book)

        self._clients = [new(Speaker, name) for name in cast.speakers] + [new(Guest, name) for name in cast.guests]
        self._rng = Random(f"{cast.seed} {Path(cast.book).name}")
        self._rate = cast.rate
        self._book = book

    async def run(self, orders: asyncio.StreamReader) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(client.run()) for client in self._clients]
            tasks += [group.create_task(self._talk()), group.create_task(self._write())]
            while word := (await orders.readline()).decode().strip():
                if word == "quiet":
                    for client in self._clients:
                        client.be_quiet()
                    tasks.append(group.create_task(self._settle()))
                elif word == "talk":
                    for client in self._clients:
                        client.talk()
                elif word == "leave":
                    await asyncio.gather(*(client.leave() for client in self._clients))
                    break
            for task in tasks:
                task.cancel()
        self._book.close()
        _tell("left")

    async def _talk(self) -> None:
        """Let somebody act, so often that all together keep the rate, and make up for moments that are slow."""
        due = time.monotonic()
        while True:
            due += self._rng.expovariate(self._rate)
            if (wait := due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            elif wait < -1:
                due = time.monotonic()
            await self._rng.choice(self._clients).act()

    async def _settle(self) -> None:
        said = ""
        while restless := next((why for client in self._clients if (why := client.restless)), ""):
            if restless != said:
                _tell(f"waits: {restless}")
                said = restless
            await asyncio.sleep(LOOK_SECONDS)
        self._book.flush()
        _tell("settled")

    async def _write(self) -> None:
        """Put what was written down where others can read it."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._book.flush()


def _tell(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def main() -> None:
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    cast = msgspec.json.decode(await orders.readline(), type=Cast)
    await Crowd(cast, Book(Path(cast.book))).run(orders)


if __name__ == "__main__":
    uvloop.run(main())
