"""What a REQUEST authorizer's answer grants: protocols.md 1.2."""

import re
from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct

MAX_BYTES: Final = 8192
"""Of an authorizer's answer."""

ACTION: Final = "execute-api:Invoke"


class Granted(Struct, frozen=True):
    """Who may connect, and what later events tell of it."""

    principal: str
    context: dict[str, str]
    """Flat, all values as text, `principalId` among them."""


def granted(answer: bytes, arn: str) -> Granted | None:
    """Return whom *answer* lets connect to *arn*; None if nobody, because it denies, is no policy, or is too large."""
    if len(answer) > MAX_BYTES:
        return None
    try:
        said = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("principalId"), str | int):
        return None
    context = said.get("context") or {}
    if not isinstance(context, dict) or any(isinstance(value, dict | list) for value in context.values()):
        return None
    if not _allows(said.get("policyDocument"), arn):
        return None
    principal = str(said["principalId"])
    flat = {name: _text(value) for name, value in context.items() if value is not None}
    return Granted(principal, {"principalId": principal} | flat)


def _allows(policy: Any, arn: str) -> bool:
    """Whether one statement allows and none says anything else."""
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list):
        return False
    effects = [
        statement.get("Effect")
        for statement in statements
        if isinstance(statement, dict)
        and any(_fits(action, ACTION, caseless=True) for action in _texts(statement.get("Action")))
        and any(_fits(resource, arn) for resource in _texts(statement.get("Resource")))
    ]
    return bool(effects) and all(effect == "Allow" for effect in effects)


def _texts(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [text for text in found if isinstance(text, str)]


def _fits(pattern: str, text: str, *, caseless: bool = False) -> bool:
    return _pattern(pattern, caseless).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _pattern(pattern: str, caseless: bool) -> re.Pattern[str]:
    """Return an IAM pattern: ``*`` is any run of characters, ``?`` any one."""
    pieces = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in re.sub(r"\*+", "*", pattern))
    return re.compile("".join(pieces), re.DOTALL | (re.IGNORECASE if caseless else 0))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
