"""Reads ``parley.yaml``: which apps an installation has. All that is wrong with it is said at once, in sentences."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from parley.protocol.apps import App, Apps, Declaration, built_in


class AppsError(Exception):
    """What is wrong with the file, a sentence per problem."""

    def __init__(self, file: str, problems: list[str]) -> None:
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))
        self.problems = problems


def apps(file: str, *, development: bool) -> Apps:
    """Return the apps that *file* declares; without one, and in development mode beside it, the built-in ones.

    Raises AppsError.
    """
    declared = read(file) if file else {}
    others = built_in() if development else {}
    taken = {path for app in declared.values() for path in app.paths}
    return Apps({name: app for name, app in others.items() if not taken.intersection(app.paths)} | declared)


def read(file: str) -> dict[str, App]:
    """Return what *file* declares."""
    try:
        text = Path(file).read_bytes()
    except OSError as error:
        raise AppsError(file, [f"It cannot be read: {error.strerror}."]) from None
    try:
        declared = _parse(text)
    except msgspec.ValidationError as error:
        raise AppsError(file, [f"{error}."]) from None
    except msgspec.DecodeError as error:
        raise AppsError(file, [f"It is no YAML: {error}."]) from None
    problems = list(_problems(declared))
    if problems:
        raise AppsError(file, problems)
    return declared


def _parse(text: bytes) -> dict[str, App]:
    declaration = msgspec.yaml.decode(text, type=Declaration | None)
    return {} if declaration is None else declaration.apps


def _problems(declared: dict[str, App]) -> Iterator[str]:
    paths: dict[str, str] = {}
    keys: dict[str, str] = {}
    for name, app in declared.items():
        for problem in app.problems():
            yield f"apps.{name}: {problem}."
        for path in app.paths:
            if path in paths:
                yield f"apps.{name} and apps.{paths[path]} are both at {path}: a path has one app."
            paths[path] = name
        for key in app.access_keys:
            if key in keys:
                yield f"apps.{name} and apps.{keys[key]} both have the access key {key}: it tells apps apart."
            keys[key] = name
