"""Route selection expressions of API Gateway: protocols.md 1.3."""

import re
from typing import Any, Final

import msgspec

_BRACED: Final = re.compile(r"\$\{(?:\$?request\.body)([^}]*)\}")
_WHOLE: Final = re.compile(r"\$?request\.body(.*)", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")

Path = tuple[str | int, ...]
"""Where in a body: members by name, entries of a list by number."""


class Selection:
    """An expression, ready to be evaluated.

    ``$request.body.action`` is one variable and nothing else, with or without its dollar; ``${request.body.a}/x``
    mixes variables with text; anything else is a constant, whose backslash in front only kept it one.
    """

    def __init__(self, expression: str) -> None:
        """Raise ValueError, with a clause for people, if it is none."""
        self.expression = expression
        self._pieces: tuple[str | Path, ...] = tuple(_pieces(expression))

    def select(self, body: Any) -> str:
        """Return the route key that a frame's *body*, decoded from its JSON, names; it need not exist."""
        return "".join(piece if isinstance(piece, str) else _text(_find(body, piece)) for piece in self._pieces)


def _pieces(expression: str) -> list[str | Path]:
    if whole := _WHOLE.fullmatch(expression):
        return [_path(whole[1])]
    if "${" not in expression:
        return [expression.removeprefix("\\")]
    found: list[str | Path] = []
    end = 0
    for match in _BRACED.finditer(expression):
        found += [expression[end : match.start()], _path(match[1])]
        end = match.end()
    rest = expression[end:]
    if any(isinstance(piece, str) and "${" in piece for piece in (*found, rest)):
        raise ValueError("has a variable that is not of ${request.body...}")
    return [*found, rest]


def _path(text: str) -> Path:
    steps: list[str | int] = []
    end = 0
    for match in _STEP.finditer(text):
        if match.start() != end:
            break
        name, number, *quoted = match.groups()
        steps.append(int(number) if number else name or quoted[0] or quoted[1] or "")
        end = match.end()
    if end != len(text):
        raise ValueError(f"cannot read the path {text!r}: write .member, ['member'] and [0]")
    return tuple(steps)


def _find(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _text(value: Any) -> str:
    """Write what was found as API Gateway does: what is missing is empty, a list is ``[a, b]``."""
    match value:
        case str():
            return value
        case None:
            return ""
        case list():
            return f"[{', '.join(_text(entry) for entry in value)}]"
        case _:
            return msgspec.json.encode(value).decode()
