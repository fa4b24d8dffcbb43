"""
``make console-size``: what the console costs beside ten thousand connections, measured in a real browser.

Not part of the tests: it takes a minute or two, and what it says is figures. While it measures, some connections come
and go each second, so that what is measured is a console at work.
"""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from support.instance import REAL, Instance

from benchmarks.idlers import Idler, knock
from benchmarks.wires import Parley
from parley.kit import tokens

HERE = Path(__file__).parent
MANY = 10_000
EACH_SECOND = 20
PATIENCE = 300.0
"""Seconds until they must all be there."""


async def main() -> int:
    many = int(sys.argv[1]) if len(sys.argv) > 1 else MANY
    secret = secrets.token_hex(32)
    with TemporaryDirectory() as folder:
        instance = Instance(Path(folder) / "data", up=REAL, PARLEY_TOKEN_SECRET=secret)
        await instance.start()
        try:
            crowd = Crowd(str(instance.part("gateway")["address"]), secret)
            await crowd.grow(many)
            return await _measured(instance, crowd)
        finally:
            await instance.stop()


class Crowd:
    """Connections of users of the app "many", who say nothing."""

    def __init__(self, address: str, secret: str) -> None:
        self._address = address
        self._tokens = _tokens(secret)
        self._idlers: list[Idler] = []

    async def grow(self, by: int) -> None:
        self._idlers += await knock(self._address, Parley(), list(islice(self._tokens, by)), within=PATIENCE)

    def shrink(self, by: int) -> None:
        """Let those leave who have been there for longest."""
        for idler in self._idlers[:by]:
            idler.leave()
        del self._idlers[:by]


def _tokens(secret: str) -> Iterator[str]:
    for number in count():
        yield tokens.mint(secret, expires_at=time.time() + 3600, subject=f"user-{number}", app="many")


async def _measured(instance: Instance, crowd: Crowd) -> int:
    browser = await asyncio.create_subprocess_exec(
        "node", "many.mjs", cwd=HERE, env=os.environ | {"PARLEY_URL": instance.url}
    )
    ended = asyncio.create_task(browser.wait())
    while not ended.done():
        crowd.shrink(EACH_SECOND)
        await crowd.grow(EACH_SECOND)
        await asyncio.wait([ended], timeout=1)
    return await ended


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
