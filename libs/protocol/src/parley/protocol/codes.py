"""Error codes and close codes: one enum each, because clients rely on them.

The numbers and words are protocols.md section 0. A close code's range says
whether to reconnect, so an SDK needs the range and not the list.
"""

from enum import IntEnum, StrEnum
from typing import Final


class ErrorCode(StrEnum):
    """Why a request was refused; stable, for programs. The message beside it is for people."""

    BAD_FRAME = "bad_frame"
    """The frame is not a JSON object."""
    BAD_REQUEST = "bad_request"
    """The action is known, and a field of it is missing or wrong."""
    UNKNOWN_ACTION = "unknown_action"
    UNAUTHORIZED = "unauthorized"
    """The token is missing, forged, or for another app."""
    NOT_ALLOWED = "not_allowed"
    """The token is good and does not grant this."""
    NOT_MEMBER = "not_member"
    NOT_FOUND = "not_found"
    GONE = "gone"
    """It existed, and does no longer."""
    ROOM_FULL = "room_full"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    DEGRADED = "degraded"
    """A part that this needs is away; waiting helps."""
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code, not a secret
    INTERNAL = "internal"
    """A bug of ours; it is logged with its trace."""


RETRY_AFTER_MS: Final = {ErrorCode.RATE_LIMITED: 1000, ErrorCode.DEGRADED: 2000}
"""How long to wait before trying again, for the codes that waiting cures."""


class CloseCode(IntEnum):
    """Why a socket was closed."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    BINARY = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_TEXT = 1007
    POLICY = 1008
    TOO_BIG = 1009
    RESTART = 1012
    """Reconnect, with the resume token."""

    SLOW_READER = 4008
    HEARTBEAT_MISSED = 4009
    RATE = 4029

    UNAUTHORIZED = 4500
    TOKEN_EXPIRED = 4501
    REPLACED = 4503
    """The same device has connected again."""
    REMOVED = 4504
    BANNED = 4505

    @property
    def reconnect(self) -> bool:
        """Whether coming back may help: everything below 4500 but a policy's no."""
        return self < CloseCode.UNAUTHORIZED and self != CloseCode.POLICY


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error
    """A request that is understood and not granted; the code and the sentence reach the client."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def retry_after_ms(self) -> int | None:
        """How long to wait before trying again, if waiting helps."""
        return RETRY_AFTER_MS.get(self.code)
