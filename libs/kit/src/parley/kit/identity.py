"""Who is asking, for which app, and what they may do: what a checked token says, or development mode's anybody."""

from functools import lru_cache
from typing import Annotated, Final, Literal, Self, get_args

from msgspec import DecodeError, Meta, Struct, ValidationError, json

from parley.protocol import subjects
from parley.protocol.codes import ErrorCode, Refusal

DEFAULT_APP: Final = "default"

Verb = Literal["join", "send", "history", "admin"]
"""What a token can grant in a room."""

VERBS: Final[frozenset[Verb]] = frozenset(get_args(Verb))

_YEAR_9999: Final = 253_402_300_799

Moment = Annotated[float, Meta(ge=0, le=_YEAR_9999)]
"""Seconds since the epoch, as JWT writes times."""


class Claims(Struct, frozen=True):
    """What a token of ours says. Claims not named here are ignored, and so are verbs that are not in `Verb`."""

    exp: Moment
    nbf: Moment = 0
    sub: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    app: str = DEFAULT_APP
    jti: str | None = None
    rooms: dict[str, list[str]] = {}
    """Verbs by the pattern of a room's name, in which ``*`` stands for any run of characters."""
    direct: bool = False
    presence: bool = False
    broadcast: bool = False
    admin: bool = False
    metadata: bool = False


class Identity(Struct, frozen=True, kw_only=True):
    """Somebody, of one app, with grants. No token yields None as subject, and a token without ``sub`` does."""

    app: str
    subject: str | None = None
    """The `userId` of the connections and messages of a token's bearer."""
    token_id: str | None = None
    expires_at: int | None = None
    """Milliseconds since the epoch; None in development mode without a token."""
    rooms: dict[str, frozenset[str]] = {}
    direct: bool = False
    """May say something to a single connection."""
    presence: bool = False
    """May say how available its connection is."""
    broadcast: bool = False
    """May say something to every connection of the app."""
    metadata: bool = False
    """May change its connection's metadata once it is open."""
    admin: bool = False
    """May do anything in the app: a backend of it, not a person."""

    @classmethod
    def anonymous(cls, app: str | None) -> Self:
        """Development mode's anybody, who may do anything in *app*."""
        return cls(
            app=named(app or DEFAULT_APP),
            rooms={"*": VERBS},
            direct=True,
            presence=True,
            broadcast=True,
            metadata=True,
            admin=True,
        )

    @classmethod
    def guest(cls, app: str, subject: str | None) -> Self:
        """Return somebody whom an app's own authorizer has let in, to do what connections do and administer nothing."""
        rooms = {"*": frozenset[str]({"join", "send", "history"})}
        return cls(app=named(app), subject=subject, rooms=rooms, direct=True, presence=True, metadata=True)

    @classmethod
    def claimed(cls, claims: Claims) -> Self:
        """Return who *claims* are about. Their signature and their times are checked already."""
        return cls(
            app=named(claims.app),
            subject=claims.sub,
            token_id=claims.jti,
            expires_at=int(claims.exp * 1000),
            rooms={pattern: frozenset(verbs) for pattern, verbs in claims.rooms.items()},
            direct=claims.direct,
            presence=claims.presence,
            broadcast=claims.broadcast,
            metadata=claims.metadata,
            admin=claims.admin,
        )

    def may(self, room: str, verb: Verb) -> bool:
        """Whether *verb* is granted in *room*. Who administers a room, or the app, may do everything there."""
        return self.admin or any(
            (verb in verbs or "admin" in verbs) and matches(pattern, room) for pattern, verbs in self.rooms.items()
        )

    def expired(self, now: int) -> bool:
        """Whether the token holds no longer at *now*, in milliseconds since the epoch."""
        return self.expires_at is not None and self.expires_at <= now


def named(app: str) -> str:
    """Return *app* if it can be the name of one; it becomes part of subjects."""
    try:
        return subjects.token(app)
    except ValueError:
        raise Refusal(
            ErrorCode.NOT_FOUND,
            "There is no app of that name: a name has 1 to 255 letters, digits, hyphens and underscores.",
        ) from None


def claims_of(payload: bytes) -> Claims:
    """Return the claims in a token's *payload*, whose signature is checked already."""
    try:
        return json.decode(payload, type=Claims)
    except (ValidationError, UnicodeDecodeError) as error:
        raise Refusal(ErrorCode.UNAUTHORIZED, f"The token's claims are not as they must be: {error}.") from None
    except DecodeError:
        raise Refusal(ErrorCode.UNAUTHORIZED, "The token's claims are not JSON.") from None


def matches(pattern: str, name: str) -> bool:
    """Whether *name* fits *pattern*, in which ``*`` stands for any run of characters and all else for itself."""
    first, middle, last = _pieces(pattern)
    if last is None:
        return name == first
    if len(name) < len(first) + len(last) or not name.startswith(first) or not name.endswith(last):
        return False
    at, end = len(first), len(name) - len(last)
    for piece in middle:  # the leftmost place is always good enough: what follows has the most room then
        found = name.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


@lru_cache(maxsize=4096)
def _pieces(pattern: str) -> tuple[str, tuple[str, ...], str | None]:
    first, *others = pattern.split("*")
    return (first, tuple(filter(None, others[:-1])), others[-1]) if others else (first, (), None)
