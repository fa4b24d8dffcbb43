"""Take the pictures of the README anew, on a Parley of their own: ``make pictures``."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from support.instance import REAL, Instance

HERE = Path(__file__).parent


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance(Path(folder) / "data", up=REAL)
        await instance.start()
        try:
            environ = os.environ | {"PARLEY_URL": instance.url}
            camera = await asyncio.create_subprocess_exec("node", "pictures.mjs", cwd=HERE, env=environ)
            if await camera.wait() != 0:
                sys.exit("The pictures were not taken: what stands above says why.")
        finally:
            await instance.stop()


if __name__ == "__main__":
    asyncio.run(main())
