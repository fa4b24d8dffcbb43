"""
STUN and TURN servers for clients, with credentials that hold for a while (coturn's ``use-auth-secret``).

The number in the username is when the credentials expire, not when they were made. TURN checks them when an allocation
is made; a call that runs goes on.
"""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1
from hmac import digest
from typing import TypedDict

from msgspec import Struct

from parley.rooms.metrics import CREDENTIALS


class Server(TypedDict, total=False):
    """As RTCPeerConnection takes it: `urls`, and with TURN `username` and `credential`."""

    urls: list[str]
    username: str
    credential: str


class Relay(Struct, frozen=True):
    """What an installation tells its clients of STUN and TURN."""

    stun_urls: Sequence[str] = ()
    turn_urls: Sequence[str] = ()
    secret: str = ""
    """Shared with the TURN server; without it clients hear of STUN alone."""
    ttl: int = 3600
    """Seconds for which credentials hold."""

    def servers(self, user: str, now: int) -> list[Server]:
        """Return the list for *user*; *now* is in seconds since the epoch."""
        found: list[Server] = []
        if self.stun_urls:
            found.append({"urls": list(self.stun_urls)})
        if self.turn_urls and self.secret:
            CREDENTIALS.inc()
            username, credential = credentials(self.secret, user, now + self.ttl)
            found.append({"urls": list(self.turn_urls), "username": username, "credential": credential})
        return found


def credentials(secret: str, user: str, expires_at: int) -> tuple[str, str]:
    """Return a username and its password, which hold until *expires_at* (seconds since the epoch)."""
    username = f"{expires_at}:{user}"
    return username, b64encode(digest(secret.encode(), username.encode(), sha1)).decode()
