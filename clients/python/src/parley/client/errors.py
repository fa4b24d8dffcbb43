"""
What can go wrong between a program and Parley.

    ParleyError
    ├── Refused          a request, or the connection itself, was answered with an error; `code` says which
    ├── Interrupted      the connection was renewed before the answer came; the request may have been done
    └── Disconnected     it is over; `code` is the close code, `reconnect` whether coming back may help
"""

from typing import Final

from parley.protocol.codes import CloseCode

FINAL: Final = range(4500, 5000)
"""Close codes after which coming back does not help."""


class ParleyError(Exception):
    """Everything this SDK raises."""


class Refused(ParleyError):  # noqa: N818 - a refusal is an answer
    """Parley understood and said no."""

    def __init__(self, code: str, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        """Stable and snake_case, such as ``not_allowed``: for programs. The list is in docs/reference/."""
        self.message = message
        self.retry_after_ms = retry_after_ms
        """How long to wait before trying again, if waiting helps."""


class Interrupted(ParleyError):  # noqa: N818 - it says what happened
    """The server had forgotten the connection on which this was asked, and nobody can say whether it was done."""

    def __init__(self) -> None:
        super().__init__("the connection was renewed before the answer came: ask again if it still matters")


class Disconnected(ParleyError):  # noqa: N818 - it says what happened
    """The connection is over; a request in hand may or may not have been processed."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code}" + (f" ({reason})" if reason else ""))
        self.code = code
        self.reason = reason

    def again(self) -> "Disconnected":
        """Return a fresh one that says the same: each raise adds to the traceback of what it raises."""
        return Disconnected(self.code, self.reason)

    @property
    def ordinary(self) -> bool:
        """Whether somebody was simply done."""
        return self.code in (CloseCode.NORMAL, CloseCode.GOING_AWAY)

    @property
    def reconnect(self) -> bool:
        """Whether coming back may help; the range of the code says it."""
        return self.code not in (CloseCode.NORMAL, CloseCode.POLICY) and self.code not in FINAL
