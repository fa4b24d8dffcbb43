"""Every NATS subject in the system is spelled here and nowhere else.

parley.in.<partition>.<class>      clients did something; one owner per service reads it
parley.out.<gateway>               write these to those connections
parley.events.<app>.<type...>      a public fact; kept for days
parley.route.<app>.<route>         a backend's function behind a route
parley.gateway.<gateway>           what that gateway alone knows, for other gateways: core request-reply
parley.gateway.<gateway>.frames    the same for presence: what came and went on a connection lately
parley.parts                       how each process is: all of them answer
parley.free.<service>              partitions were given back: whoever wants some, look now
parley.ask.<service>.<question>    a question that any replica of a service answers, from its tables
"""

import re
from base64 import urlsafe_b64encode
from typing import Final, Literal

type_token: Final = re.compile(r"[a-z][a-zA-Z]*(\.[a-z][a-zA-Z]*)*")
"""An event type: ``room.joined``. Its dots become subject levels on purpose."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,255}")

INGRESS: Final = "INGRESS"
DELIVERIES: Final = "DELIVERIES"
EVENTS: Final = "EVENTS"
LEASES: Final = "leases"
"""Name of the KV bucket in which a gateway holds a key for as long as it lives."""

ALL_INGRESS: Final = "parley.in.>"
ALL_DELIVERIES: Final = "parley.out.>"
ALL_EVENTS: Final = "parley.events.>"

Class = Literal["c", "m"]
"""``c``: the life of connections and their presence. ``m``: messages."""


def token(value: str) -> str:
    """Return *value* if it is safe as one subject token.

    Identifiers reach us from clients. A dot would widen the subject, a ``>``
    would subscribe to everything below it, and a line break would let the
    client write its own NATS commands: nats-py does not check when publishing.
    """
    if not _TOKEN.fullmatch(value):
        raise ValueError(f"not a subject token: {value!r}")
    return value


def escaped(value: str) -> str:
    """Return any Unicode text as one subject token, different for different texts.

    Text that is a token already stays readable; the rest is base64url after
    ``=``, which no plain token contains.
    """
    if _TOKEN.fullmatch(value):
        return value
    return "=" + urlsafe_b64encode(value.encode()).decode().rstrip("=")


def ingress(partition: int, kind: Class) -> str:
    """Where a gateway writes what clients of *partition* did."""
    return f"parley.in.{partition:d}.{kind}"


def partition_ingress(partition: int) -> str:
    """Everything of one partition, as the owner in rooms reads it."""
    return f"parley.in.{partition:d}.*"


def deliveries(gateway: str) -> str:
    """Where the frames for *gateway*'s connections are written."""
    return f"parley.out.{token(gateway)}"


def gateway(name: str) -> str:
    """Where gateway *name* says what it alone knows of its connections."""
    return f"parley.gateway.{token(name)}"


def frames(gateway: str) -> str:
    """Where *gateway* says which frames came and went on a connection lately."""
    return f"parley.gateway.{token(gateway)}.frames"


PARTS: Final = "parley.parts"
"""Where every process says how it is."""


def event(app: str, kind: str) -> str:
    """Where the public event *kind* (its CloudEvents type) of *app* is written."""
    if not type_token.fullmatch(kind):
        raise ValueError(f"not an event type: {kind!r}")
    return f"parley.events.{token(app)}.{kind}"


def events_of(app: str) -> str:
    """All public events of *app*."""
    return f"parley.events.{token(app)}.>"


def events_like(app: str, pattern: str) -> str:
    """The public events of *app* whose type is *pattern*, or with ``.*`` at its end begins so."""
    stem = pattern.removesuffix(".*")
    return f"{event(app, stem)}.>" if stem != pattern else event(app, pattern)


def type_in(subject: str) -> str:
    """Return the type of the public event that was written to *subject*."""
    return subject.split(".", 3)[3]


def route(app: str, key: str) -> str:
    """Where a backend's function behind the route *key* of *app* listens."""
    return f"parley.route.{token(app)}.{escaped(key)}"


def question(service: str, name: str) -> str:
    """Where any replica of a service answers a question of that name."""
    return f"parley.ask.{token(service)}.{token(name)}"


def free(service: str) -> str:
    """Where replicas of a service tell each other that partitions have no owner."""
    return f"parley.free.{token(service)}"
