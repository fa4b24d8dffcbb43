"""The streams and the buckets that must exist before anybody speaks; whoever comes first makes them."""

from typing import Final, Self

import msgspec
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, KeyValueConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

from parley.kit.settings import Common
from parley.protocol import subjects

LEASE_SECONDS: Final = 3
"""How long a gateway's lease outlives its last sign of life."""

DELIVERIES_SECONDS: Final = 300
"""How long deliveries are kept, and how long EVENTS knows an id (design section 6, windows)."""

CURSORS: Final = "cursors"
"""Name of the KV bucket in which owners say how far INGRESS is no longer needed."""

_NAME_IN_USE: Final = {10058, 10065}  # the stream is there with another configuration; or with overlapping subjects


class Sizes(msgspec.Struct, frozen=True):
    """What an installation may want otherwise."""

    replicas: int = 1
    """3 on a cluster of three servers: then one may die without a trace."""
    ingress_bytes: int = 1 << 30
    """When the log is that long it refuses; nothing accepted is ever dropped from it."""
    events_days: float = 7
    """How long public events are kept."""

    @classmethod
    def of(cls, settings: Common) -> Self:
        """Return what the settings say."""
        return cls(settings.stream_replicas, settings.ingress_bytes, settings.events_days)


async def ensure(js: JetStreamContext, sizes: Sizes) -> None:
    """Make what is missing; what is there stays as it is, so an operator's own settings win."""
    for config in _streams(sizes):
        try:
            await js.add_stream(config)
        except APIError as error:
            if error.err_code not in _NAME_IN_USE:
                raise
    for bucket in _buckets(sizes):
        try:
            await js.create_key_value(bucket)
        except APIError as error:
            if error.err_code not in _NAME_IN_USE:
                raise


def _streams(sizes: Sizes) -> list[StreamConfig]:
    def stream(name: str, subject: str) -> StreamConfig:
        return StreamConfig(
            name=name,
            subjects=[subject],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            num_replicas=sizes.replicas,
            duplicate_window=DELIVERIES_SECONDS,
        )

    ingress = stream(subjects.INGRESS, subjects.ALL_INGRESS)
    ingress.discard = DiscardPolicy.NEW
    ingress.max_bytes = sizes.ingress_bytes
    deliveries = stream(subjects.DELIVERIES, subjects.ALL_DELIVERIES)
    deliveries.max_age = DELIVERIES_SECONDS
    events = stream(subjects.EVENTS, subjects.ALL_EVENTS)
    events.max_age = sizes.events_days * 86_400
    return [ingress, deliveries, events]


def _buckets(sizes: Sizes) -> list[KeyValueConfig]:
    def bucket(name: str, ttl: float | None) -> KeyValueConfig:
        return KeyValueConfig(bucket=name, ttl=ttl, storage=StorageType.FILE, replicas=sizes.replicas)

    return [bucket(subjects.LEASES, LEASE_SECONDS), bucket(CURSORS, None)]
