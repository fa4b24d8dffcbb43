"""What the gateway counts: frames come and go by the ten thousand, so they are tallied and no more."""

from typing import Final

from parley.kit import metrics
from parley.protocol.codes import CloseCode

FRAMES: Final = metrics.tally(
    "gateway_frames", "Frames that clients sent, by what they ask for; empty: it could not be read.", "route"
).counts
DELIVERIES: Final = metrics.tally(
    "gateway_deliveries", "Frames of owners that were written to a client's socket, by what they say.", "type"
).counts
REFUSALS: Final = metrics.tally(
    "gateway_refusals", "Requests of clients that the gateway refused, by the error's code.", "code"
).counts
RESUMES: Final = metrics.tally(
    "gateway_resumes",
    "Clients that came back: `resumed`, `gone` (too late: they began anew), `overtaken` (a later attempt was faster).",
    "outcome",
).counts
DROPS: Final = metrics.tally(
    "gateway_drops",
    "Deliveries that were not written though their client was here: bugs of ours, must be none.",
    "reason",
).counts
CLOSES: Final = metrics.tally(
    "gateway_closes", "Sockets that closed, by the code; `other` is a code of the client's own.", "code"
).counts
DELIVERED: Final = metrics.histogram(
    "gateway_writing_seconds",
    "From storing a message of deliveries in its stream until all of it was written to sockets.",
)
JOINED: Final = metrics.histogram(
    "gateway_join_seconds",
    "From a client's request to join a room until its answer was written to the socket; those that were refused left "
    "out.",
)

# From the first look on: an alert asks by how much they have grown, and what was not there has not.
RESUMES.update(resumed=0, gone=0, overtaken=0)
DROPS.update(failed=0, unreadable=0)

_CODES: Final = {int(code): str(int(code)) for code in CloseCode}


def closed(code: int) -> None:
    """Count a socket that closed with *code*, of which clients can send some thousand."""
    CLOSES[_CODES.get(code, "other")] += 1
