"""A signaling channel, and the ARN that names it."""

import re
import secrets
import string
from hashlib import sha256
from typing import Any, Final, Self

from msgspec import Struct

DEFAULT_TTL: Final = 60
"""Seconds for which a message waits for its receiver, unless the channel says another."""

_ARN: Final = re.compile(
    r"arn:aws:kinesisvideo:([a-z0-9-]{1,64}):([0-9]{12}):channel/([a-zA-Z0-9_.-]{1,256})/([0-9]{1,15})"
)
_ALPHABET: Final = string.ascii_letters + string.digits


class Arn(Struct, frozen=True):
    """
    What names a channel for good.

    It holds when the channel was made: one that was deleted and made again under its name is another.
    """

    region: str
    account: str
    name: str
    created_at: int
    """Milliseconds since the epoch."""

    def __str__(self) -> str:
        return f"arn:aws:kinesisvideo:{self.region}:{self.account}:channel/{self.name}/{self.created_at}"

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return what *text* names, None if it is no channel's ARN."""
        found = _ARN.fullmatch(text)
        return cls(found[1], found[2], found[3], int(found[4])) if found else None


class Channel(Struct, frozen=True, kw_only=True):
    """A channel, as its row has it."""

    app: str
    region: str
    name: str
    created_at: int
    """Milliseconds since the epoch."""
    ttl: int
    """Seconds for which a message waits for its receiver."""
    version: str
    """Another after each change."""
    tags: dict[str, str]

    @property
    def arn(self) -> str:
        """What names it for good."""
        return str(Arn(self.region, account_of(self.app), self.name, self.created_at))

    def info(self) -> dict[str, Any]:
        """Return it as `ChannelInfo`. A channel is there, and in use, as soon as it was asked for."""
        return {
            "ChannelName": self.name,
            "ChannelARN": self.arn,
            "ChannelType": "SINGLE_MASTER",
            "ChannelStatus": "ACTIVE",
            "CreationTime": self.created_at / 1000,
            "SingleMasterConfiguration": {"MessageTtlSeconds": self.ttl},
            "Version": self.version,
        }


def account_of(app: str) -> str:
    """Return the twelve digits that stand for *app* where AWS has an account; always the same."""
    return f"{int.from_bytes(sha256(app.encode()).digest()[:8]) % 10**12:012d}"


def new_version() -> str:
    """Return the version of a channel that is made or changed now."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))
