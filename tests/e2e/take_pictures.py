"""Take the pictures of the README anew, on a Parley of their own: ``make pictures``."""

import asyncio
import os
import subprocess
import tempfile
from pathlib import Path

from support.instance import REAL, Instance

HERE = Path(__file__).parent


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(Path(folder) / "data", up=REAL)
        await instance.start()
        try:
            subprocess.run(
                ["node", "pictures.mjs"], cwd=HERE, env=os.environ | {"PARLEY_URL": instance.url}, check=True
            )
        finally:
            await instance.stop()


if __name__ == "__main__":
    asyncio.run(main())
