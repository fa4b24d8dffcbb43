"""
The page of all settings, written from the classes that read them.

    python -m parley.kit.settings_page parley.gateway parley.rooms > docs/reference/settings.md
"""

import sys
from collections.abc import Iterable
from importlib import import_module

from parley.kit.docstrings import field_docs
from parley.kit.settings import Common, Variable, variables_of

_HEAD = """\
# Settings

Every service reads its settings from the environment, once, when it starts. A variable that begins like ours and is
none stops it, with a sentence that names the nearest one; `python -m parley.<service> --check` tells without starting.
An empty variable counts as none. (Written by `make schema` from the classes that read them.)
"""


def page(packages: Iterable[str]) -> str:
    """Return the page, in Markdown, for the services in *packages*."""
    services: list[type[Common]] = [import_module(f"{package}.settings").Settings for package in packages]
    readers: dict[str, list[str]] = {}
    docs: dict[str, str] = {}
    shared: dict[str, Variable] = {}
    sections = []
    for service in services:
        of_service = field_docs(service)
        own = []
        for variable in variables_of(service):
            docs[variable.env] = of_service.get(variable.field, "")
            if variable.shared:
                shared[variable.env] = variable
                readers.setdefault(variable.env, []).append(service.prefix.lower())
            else:
                own.append(variable)
        sections.append(f"## {service.prefix.capitalize()}\n\n{_table(own, docs)}")
    for env, names in readers.items():
        if len(names) < len(services):
            docs[env] += f" (Read by {', '.join(names)}.)"
    return "\n".join([_HEAD, f"## All services\n\n{_table(shared.values(), docs)}", *sections])


def _table(variables: Iterable[Variable], docs: dict[str, str]) -> str:
    rows = ["| variable | meaning | value | default |", "|---|---|---|---|"]
    rows += [
        f"| `{variable.env}` | {_cell(docs[variable.env])} | {_cell(variable.kind)} | {_default(variable)} |"
        for variable in variables
    ]
    return "\n".join(rows) + "\n"


def _default(variable: Variable) -> str:
    if variable.required:
        return "required"
    match variable.default:
        case None | "" | ():
            return ""
        case bool(default):
            return f"`{str(default).lower()}`"
        case tuple(default):
            return f"`{','.join(default)}`"
        case default:
            return f"`{default}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page(sys.argv[1:]))
