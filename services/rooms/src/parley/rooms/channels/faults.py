"""What the control plane refuses, in AWS's words: a status, a name for programs, a sentence for people."""

from typing import Final

STATUS: Final = {
    "AccessDeniedException": 401,
    "AccountChannelLimitExceededException": 400,
    "ClientLimitExceededException": 400,
    "InternalFailure": 500,
    "InvalidArgumentException": 400,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "ResourceInUseException": 400,
    "ResourceNotFoundException": 404,
    "ServiceUnavailableException": 503,
    "TagsPerResourceExceededLimitException": 400,
    "UnrecognizedClientException": 403,
    "VersionMismatchException": 400,
}


class Fault(Exception):  # noqa: N818 - an answer to a client, not an error of ours
    """A call that is not carried out."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = STATUS[kind]


def invalid(message: str) -> Fault:
    """Return the refusal of an argument."""
    return Fault("InvalidArgumentException", message)


def not_found(what: str) -> Fault:
    """Return the refusal of a channel that there is not, or not for this caller."""
    return Fault("ResourceNotFoundException", f"There is no channel {what}.")
