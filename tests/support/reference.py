"""The signaling servers that y-webrtc and PeerJS bring along, from npm: what Parley's clients expect of it."""

import asyncio
import os
import socket
import subprocess
from pathlib import Path

from support.eventually import eventually

CLIENTS = Path(__file__).parents[1] / "clients"
SERVERS = {
    "y-webrtc": ("node", "node_modules/y-webrtc/bin/server.js"),
    "peerjs": ("node", "node_modules/peer/dist/bin/peerjs.js", "--host", "127.0.0.1", "--path", "/", "--port"),
}


class Reference:
    """One of these servers. It may end when it is told nonsense; then it is started again."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    async def url(self) -> str:
        """Return where it is, once it is there."""
        if self._process is None or self._process.poll() is not None:
            self._start()
            await eventually(self._answers)
        return f"http://127.0.0.1:{self._port}"

    def _start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        words = SERVERS[self._dialect]
        self._process = subprocess.Popen(
            [*words, str(self._port)] if words[-1] == "--port" else words,
            cwd=CLIENTS / self._dialect,
            env={"PATH": os.environ["PATH"], "PORT": str(self._port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def _answers(self) -> str | None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError as error:
            return f"it does not listen: {error}"
        writer.close()
        return None

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
