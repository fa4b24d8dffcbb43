"""``parley token``: a JWT that names somebody and what he may do."""

import os
import re
import time
from collections.abc import Sequence
from secrets import token_hex

from parley.cli.instance import Instance
from parley.cli.plan import token_secret
from parley.cli.problem import Problem
from parley.cli.settings import Settings
from parley.kit.identity import DEFAULT_APP, VERBS, named
from parley.kit.tokens import mint
from parley.protocol.codes import Refusal

EVERYDAY_ROOMS = ("*=join,send,history",)
EVERYDAY_GRANTS = ("direct", "presence")
"""What a person at the call page needs; given when nothing is asked for."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def token(subject: str | None, app: str | None, rooms: Sequence[str], grants: Sequence[str], lifetime: str) -> str:
    """Return a token signed with PARLEY_TOKEN_SECRET, or with the secret of the instance in PARLEY_DATA."""
    asked = bool(rooms or grants)
    try:
        return mint(
            _secret(),
            expires_at=int(time.time()) + seconds_of(lifetime),
            subject=subject,
            app=named(app or DEFAULT_APP),
            rooms=dict(map(_room, rooms if asked else EVERYDAY_ROOMS)),
            grants=grants if asked else EVERYDAY_GRANTS,
            token_id=token_hex(8),
        )
    except (Refusal, ValueError) as error:
        raise Problem(str(error)) from error


def seconds_of(lifetime: str) -> int:
    """Return the seconds in words like ``90s``, ``30m``, ``12h`` and ``7d``."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", lifetime)
    if not found:
        raise Problem(f"--for takes a number and a unit, such as 90s, 30m, 12h or 7d, not {lifetime!r}.")
    return int(found[1]) * UNITS[found[2]]


def _room(word: str) -> tuple[str, list[str]]:
    """Return pattern and verbs of ``pattern=verb,verb``; without verbs, those of a member."""
    pattern, equals, verbs = word.rpartition("=")
    if not equals:
        return _room(f"{word}=join,send,history")
    unknown = [verb for verb in verbs.split(",") if verb not in VERBS]
    if unknown or not pattern:
        raise Problem(
            f"--room takes a pattern and {', '.join(sorted(VERBS))}, such as 'team-*=join,send', not {word!r}."
        )
    return pattern, verbs.split(",")


def _secret() -> str:
    if given := os.environ.get("PARLEY_TOKEN_SECRET"):
        return given
    instance = Instance(Settings.from_env(os.environ).data)
    if not instance.folder.is_dir():
        raise Problem(
            f"There is no secret to sign with: set PARLEY_TOKEN_SECRET, or run `parley up` first, which keeps one in "
            f"{instance.folder}."
        )
    return token_secret(instance)
