"""
Writes what the chart says twice: ``python -m deploy.k8s.write``, which is `make chart`.

- ``files/Caddyfile``: the front door's map, from the one that `parley up` uses.
- ``values.schema.json`` and the table in ``README.md``: from values.yaml and its comments, and from the settings that
  the services read.
- ``files/dashboards`` and ``files/rules``: from deploy/grafana and deploy/prometheus, since Helm sees nothing but the
  chart.

A comment ``# --`` above a value describes it. Between it and the value ``# @schema {...}`` adds to the schema that
follows from the default, ``# @like pods`` says that the value holds what another one does, and ``# @settings gateway``
that it holds settings of a service by their name.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from parley.cli.front_door import Upstreams, caddyfile
from parley.gateway.settings import Settings as Gateway
from parley.history.settings import Settings as History
from parley.kit.docstrings import field_docs
from parley.kit.settings import Common, Variable, variables_of
from parley.presence.settings import Settings as Presence
from parley.rooms.settings import Settings as Rooms

CHART: Final = Path(__file__).parent / "parley"
WATCHING: Final = {"dashboards": ("grafana", "*.json"), "rules": ("prometheus", "*.yaml")}
"""Which files a folder of the chart's ``files`` holds: where they are below ``deploy``, and what they are called."""

SERVICES: Final[dict[str, type[Common]]] = {
    "gateway": Gateway,
    "presence": Presence,
    "rooms": Rooms,
    "history": History,
}

THE_CHARTS: Final = {
    *("PARLEY_MODE", "PARLEY_APPS", "PARLEY_TOKEN_SECRET", "PARLEY_JWKS", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    *(
        "NATS_URL",
        "NATS_CA_FILE",
        "PARLEY_STREAM_REPLICAS",
        "DATABASE_URL",
        "STUN_URLS",
        "TURN_URLS",
        "TURN_SECRET",
        "TURN_TTL",
    ),
    *("GATEWAY_PORT", "GATEWAY_DRAIN_SECONDS", "GATEWAY_RESUME_SECRET", "GATEWAY_TRUSTED_PROXIES"),
}
"""Settings that the chart sets from values of its own; besides where each service listens."""

_LISTENING: Final = ("_HOST", "_HTTP_PORT", "_READY_FILE")

HEALTH: Final = """
# For the kubelet: whether this front door serves, whatever is behind it.
http://:8081 {
	respond /livez `{"live":true}`
	respond /readyz `{"ready":true}`
}
"""


@dataclass
class Value:
    """One value of values.yaml, as its comment and its default say."""

    path: tuple[str, ...]
    default: Any
    about: str = ""
    schema: dict[str, Any] = field(default_factory=dict)
    like: str = ""
    settings: str = ""

    @property
    def name(self) -> str:
        """Its name as `helm --set` takes it."""
        return ".".join(self.path)


def front_door() -> str:
    """Return the front door's configuration; where the parts are comes from its environment."""
    text = caddyfile(
        "[::]:8080",
        Upstreams(
            sockets=["{$SOCKETS}"],
            management=["{$MANAGEMENT}"],
            presence=["{$PRESENCE}"],
            rooms=["{$ROOMS}"],
            history=["{$HISTORY}"],
            control="127.0.0.1:8081",
        ),
        storage=Path("/tmp/caddy"),  # noqa: S108 - a volume of the pod
        web=Path("{$WEB_ROOT}"),
        trusted="{$TRUSTED_PROXIES}",
    )
    _, _, text = text.partition("\n")
    everywhere = text.replace("\tbind [::]\n", "")  # without it Caddy takes what there is, IPv4 or IPv6
    assert everywhere != text
    return "# Written by `make chart` from cli/src/parley/cli/front_door.py.\n" + everywhere + HEALTH


def values(text: str) -> list[Value]:
    """Return the values of values.yaml in their order, those that hold others left out; each has a comment."""
    defaults = yaml.safe_load(text)
    found: list[Value] = []
    path: list[tuple[int, str]] = []
    said: list[str] = []
    for line in text.splitlines():
        comment = re.fullmatch(r"\s*# ?(.*)", line)
        key = re.match(r"( *)([A-Za-z]\w*):(?: |$)", line)
        if comment:
            said.append(comment[1])
        elif key:
            while path and path[-1][0] >= len(key[1]):
                path.pop()
            path.append((len(key[1]), key[2]))
            names = tuple(name for _, name in path)
            default = defaults
            for name in names:
                default = default[name]
            if any(word.startswith("-- ") for word in said):
                found.append(_value(names, default, said))
            said = []
        elif not line.strip():
            said = []
    return found


def _value(path: tuple[str, ...], default: Any, said: list[str]) -> Value:
    begin = next(index for index, word in enumerate(said) if word.startswith("-- "))
    about: list[str] = []
    value = Value(path, default)
    for word in said[begin:]:
        if word.startswith("@schema "):
            value.schema |= yaml.safe_load(word.removeprefix("@schema "))
        elif word.startswith("@like "):
            value.like = word.removeprefix("@like ")
        elif word.startswith("@settings "):
            value.settings = word.removeprefix("@settings ")
        else:
            about.append(word.removeprefix("-- "))
    value.about = " ".join(about)
    return value


def schema(found: list[Value]) -> dict[str, Any]:
    """Return the JSON Schema of values.yaml: what is no value is refused, as it is a spelling mistake."""
    root: dict[str, Any] = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of Parley's chart. Written by `make chart` from values.yaml.",
        **_holder(),
    }
    for value in found:
        place = root
        for name in value.path[:-1]:
            place = place["properties"].setdefault(name, _holder())
        place["properties"][value.path[-1]] = _schema_of(value)
    for value in found:
        if value.like:
            place = root
            for name in value.path[:-1]:
                place = place["properties"][name]
            place["properties"][value.path[-1]] = root["properties"][value.like] | {"description": value.about}
    root["properties"]["global"] = {"type": "object", "description": "Helm's own."}
    return root


def _holder() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _schema_of(value: Value) -> dict[str, Any]:
    said: dict[str, Any] = {"description": value.about}
    if value.settings:
        properties = {variable.env: _setting(variable, about) for variable, about in settings_of(value.settings)}
        return said | {"type": "object", "additionalProperties": False, "properties": properties}
    match value.default:
        case bool():
            said["type"] = "boolean"
        case int():
            said["type"] = "integer"
        case float():
            said["type"] = "number"
        case str():
            said["type"] = "string"
        case list():
            said["type"] = "array"
        case dict():
            said["type"] = "object"
    return said | value.schema


def settings_of(whose: str) -> Iterator[tuple[Variable, str]]:
    """Give the settings of a service that values may say, or those that all services share."""
    kind = Rooms if whose == "shared" else SERVICES[whose]
    docs = field_docs(kind)
    for variable in variables_of(kind):
        listening = variable.env.endswith(_LISTENING) and not variable.shared
        if variable.shared == (whose == "shared") and variable.env not in THE_CHARTS and not listening:
            yield variable, docs.get(variable.field, "")


def _setting(variable: Variable, about: str) -> dict[str, Any]:
    described = {"description": " ".join(about.split())}
    known = msgspec.json.schema(variable.type)
    kept = {key: known[key] for key in ("minimum", "maximum", "enum", "pattern") if key in known}
    match known.get("type"):
        case "array":
            return described | {"type": ["string", "array"], "items": {"type": "string"}}
        case "integer" | "number" | "boolean" as kind:
            return described | {"type": kind} | kept
    return described | {"type": "string"} | kept


def table(found: list[Value]) -> str:
    """Return the table of README.md."""
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for value in found:
        about = value.about.replace("|", "\\|")
        lines.append(f"| `{value.name}` | {_shown(value.default)} | {about} |")
    return "\n".join(lines) + "\n"


def _shown(default: Any) -> str:
    if default in ("", [], {}):
        return ""
    return f"`{json.dumps(default) if isinstance(default, (dict, list, bool)) else default}`"


MARK: Final = "<!-- The table below is written by `make chart` from values.yaml. -->\n"


def readme(text: str, found: list[Value]) -> str:
    """Return README.md with the table anew."""
    head, mark, _ = text.partition(MARK)
    if not mark:
        raise SystemExit(f"README.md has lost the line {MARK.strip()!r}, behind which the table belongs.")
    return head + mark + "\n" + table(found)


def copies() -> Iterator[tuple[Path, str]]:
    """Give the dashboards and the rules, and where the chart has them."""
    for folder, (source, pattern) in WATCHING.items():
        for path in sorted((CHART.parents[1] / source).glob(pattern)):
            yield CHART / "files" / folder / path.name, path.read_text()


def left_over() -> list[Path]:
    """Return the copies of what is no more."""
    kept = {path for path, _ in copies()}
    return [path for folder in WATCHING for path in (CHART / "files" / folder).glob("*") if path not in kept]


def written() -> dict[Path, str]:
    """Return what each written file must hold."""
    found = values((CHART / "values.yaml").read_text())
    return {
        CHART / "files" / "Caddyfile": front_door(),
        CHART / "values.schema.json": json.dumps(schema(found), indent=2, ensure_ascii=False) + "\n",
        CHART / "README.md": readme((CHART / "README.md").read_text(), found),
        **dict(copies()),
    }


def main() -> None:
    """Write them."""
    for path in left_over():
        path.unlink()
    for path, text in written().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(CHART.parents[2])}\n")


if __name__ == "__main__":
    main()
