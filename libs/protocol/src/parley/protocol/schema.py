"""
JSON Schema of what others read and write: each public event, and the frames of parley.v1.

``make schema`` writes them to docs/reference/schemas; a test keeps them true.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
from msgspec import NODEFAULT, Raw

from parley.protocol import says
from parley.protocol.apps import Declaration
from parley.protocol.dialects import parley_v1
from parley.protocol.envelope import SPECVERSION
from parley.protocol.events import TYPES, Data, RoomEvent

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FOLDER: Final = Path("docs/reference/schemas")

_TIME: Final = {"type": "string", "format": "date-time", "description": "RFC 3339 in UTC, with milliseconds."}


def documents() -> dict[str, Schema]:
    """Return every schema by the name of its file, without the ending."""
    return {
        **{kind: event(kind, data) for kind, data in TYPES.items()},
        "parley.v1.client": _frames("What a client of parley.v1 sends.", get_args(parley_v1.AnyClientFrame)),
        "parley.v1.server": _server_frames(),
        "parley.yaml": _declaration(),
    }


def _declaration() -> Schema:
    return _any_of("What parley.yaml says: the apps of an installation.", *_components([Declaration]))


def event(kind: str, data: type[Data]) -> Schema:
    """Return the schema of a public event, with its envelope."""
    (reference,), definitions = _components([data])
    in_room = issubclass(data, RoomEvent)
    properties: Schema = {
        "specversion": {"const": SPECVERSION},
        "id": {"type": "string", "description": "The same however often the event is delivered."},
        "source": {"type": "string", "description": "Who says it."},
        "type": {"const": kind, "description": "Equal to the subject on NATS behind the app."},
        "subject": {"type": "string", "description": "The room." if in_room else "The connection."},
        "time": _TIME,
        "partitionkey": {"type": "string", "description": "What order is kept by."},
        "sequence": {
            "type": "string",
            "pattern": "^[1-9][0-9]*$",
            "description": "Counts the events of the room without gaps, over its epoch.",
        },
        "traceparent": {"type": "string", "description": "W3C trace context of what caused it."},
        "data": reference,
    }
    required = ["specversion", "id", "source", "type", "subject", "time", "data"]
    if in_room:
        required.append("sequence")
    else:
        del properties["sequence"]
    return {
        "$schema": DIALECT,
        "title": kind,
        "description": data.__doc__,
        "type": "object",
        "properties": properties,
        "required": required,
        "$defs": definitions,
    }


def _server_frames() -> Schema:
    """
    Return the schema of all that a client of parley.v1 reads.

    What comes through the log is a say with `n` put in, and every kind of ok is called ``ok``.
    """
    told, definitions = _components(get_args(says.ToAnybody))
    for reference in told:
        frame = definitions[_name(reference)]
        (tag,) = frame["properties"].pop("type")["enum"]
        word = "ok" if tag.startswith("ok.") else tag
        n = {"type": "integer", "description": "Place in the log; it rises per connection."}
        frame["properties"] = {"type": {"enum": [word]}, "n": n} | frame["properties"]
    own, others = _components(get_args(parley_v1.AnyGatewayFrame))
    definitions |= {f"Gateway{name}": frame for name, frame in others.items()}
    return _any_of(
        "What a client of parley.v1 receives.",
        (*told, *({"$ref": f"#/$defs/Gateway{_name(reference)}"} for reference in own)),
        definitions,
    )


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _frames(description: str, kinds: Sequence[type[msgspec.Struct]]) -> Schema:
    return _any_of(description, *_components(kinds))


def _any_of(description: str, references: Sequence[Schema], definitions: Schema) -> Schema:
    return {"$schema": DIALECT, "description": description, "anyOf": list(references), "$defs": definitions}


def _components(kinds: Sequence[type[msgspec.Struct]]) -> tuple[tuple[Schema, ...], Schema]:
    references, definitions = msgspec.json.schema_components(
        [_describable(kind) for kind in kinds], ref_template="#/$defs/{name}"
    )
    return tuple(references), dict(definitions)


def _describable(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """Return *kind*, or a copy of it without defaults that are raw JSON, which msgspec cannot put into a schema."""
    fields = msgspec.structs.fields(kind)
    if not any(isinstance(field.default, Raw) for field in fields):
        return kind
    config = kind.__struct_config__
    copied = []
    for field in fields:
        default = None if isinstance(field.default, Raw) else field.default
        given = {} if default is NODEFAULT else {"default": default}
        copied.append((field.name, field.type, msgspec.field(name=field.encode_name, **given)))
    return msgspec.defstruct(
        kind.__name__,
        copied,
        namespace={"__doc__": kind.__doc__},
        tag_field=config.tag_field,
        tag=config.tag,
        kw_only=True,
    )


def text(schema: Schema) -> str:
    """Return a schema as its file has it."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def write(folder: Path) -> None:
    """Write all schemas to *folder*, and remove what is none any more."""
    folder.mkdir(parents=True, exist_ok=True)
    found = documents()
    for name, schema in found.items():
        (folder / f"{name}.json").write_text(text(schema))
    for file in folder.glob("*.json"):
        if file.stem not in found:
            file.unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
