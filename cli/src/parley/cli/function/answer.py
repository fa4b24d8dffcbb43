"""What goes back over NATS: a handler's result, or an error in Lambda's words."""

from dataclasses import dataclass
from typing import Final

import msgspec

FUNCTION_ERROR: Final = "X-Amz-Function-Error"
"""The header that Lambda's own answers to an invocation have when it failed."""
TOO_MANY: Final = "TooManyRequestsException"
TIMED_OUT: Final = "Sandbox.Timedout"
EXITED: Final = "Runtime.ExitError"
TOO_LARGE: Final = "Function.ResponseSizeTooLarge"


@dataclass(frozen=True)
class Answer:
    """To one event."""

    payload: bytes
    """JSON."""
    failed: bool = False
    """Whether it says what went wrong, instead of a result."""

    @property
    def headers(self) -> dict[str, str] | None:
        """The NATS headers that tell a failure from a result."""
        return {FUNCTION_ERROR: "Unhandled"} if self.failed else None


def failure(kind: str, message: str, request_id: str) -> Answer:
    """Return the answer that something went wrong outside of the handler's own code."""
    said = {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": []}
    return Answer(msgspec.json.encode(said), failed=True)


def timed_out(request_id: str, seconds: float) -> Answer:
    """Return what Lambda says when a handler took too long."""
    return failure(TIMED_OUT, f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds", request_id)
