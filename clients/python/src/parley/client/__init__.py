"""
The Python SDK, for clients and for backend teams.

    async with connect("ws://127.0.0.1:8080", app="default") as client:
        joined = await client.join("lobby")
        async for frame in client:
            ...

Backend teams find the stream of public events in `parley.client.events`.
"""

from parley.client.client import Client
from parley.client.connection import connect
from parley.client.errors import Disconnected, Interrupted, ParleyError, Refused
from parley.client.frames import Frame

__all__ = ["Client", "Disconnected", "Frame", "Interrupted", "ParleyError", "Refused", "connect"]
