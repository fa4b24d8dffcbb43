"""Connection ids: they look like API Gateway's and carry their home partition.

An id is 11 bytes in URL-safe base64, so 16 characters ending in ``=``
(protocols.md 1.4). The first two bytes hold the home partition, xored with the
next two so that ids of one partition do not look alike.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from zlib import crc32

PATTERN: Final = "[A-Za-z0-9_-]{15}="
"""What every id fits, as a regular expression."""

LENGTH: Final = 16

_ID: Final = re.compile(PATTERN)
RANDOM_BYTES: Final = 9


def partition_of(app: str, key: str, partitions: int) -> int:
    """Return the partition that owns *key* of *app*; the same on every machine, for ever."""
    return crc32(f"{app}/{key}".encode()) % partitions


def connection_id(home: int, entropy: bytes) -> str:
    """Build an id from its home partition and nine random bytes."""
    if len(entropy) != RANDOM_BYTES:
        raise ValueError(f"a connection id takes {RANDOM_BYTES} random bytes, not {len(entropy)}")
    mixed = home ^ int.from_bytes(entropy[:2])
    return urlsafe_b64encode(mixed.to_bytes(2) + entropy).decode()


def home_of(connection: str, partitions: int) -> int | None:
    """Return the home partition in a connection id, None if it is no id of this installation."""
    if not _ID.fullmatch(connection):
        return None
    raw = urlsafe_b64decode(connection)
    home = int.from_bytes(raw[:2]) ^ int.from_bytes(raw[2:4])
    return home if home < partitions else None
