"""The schemas that are checked in say what travels."""

from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from msgspec import Raw

from parley.protocol import says
from parley.protocol.codes import ErrorCode
from parley.protocol.dialects.parley_v1 import ParleyV1, Pong, Welcome
from parley.protocol.schema import documents, text

FOLDER = Path(__file__).parents[2] / "docs" / "reference" / "schemas"
MEMBER = says.Member(
    connection_id="c", user_id=None, device_id=None, metadata={"a": [1]}, availability="online", polite=True
)
JOINED = says.MemberJoined(room="r", position=2, member=MEMBER)
CHAT = says.ChatPosted(
    room="r", position=3, id="m", from_="c", user_id=None, text="hi", data=Raw(b"null"), time="2026-01-01T00:00:00.000Z"
)

PEER = {
    "connectionId": "AAECAwQFBgcICQo=",
    "state": "connected",
    "bytesSent": 1,
    "bytesReceived": 2,
    "packetsReceived": 3,
    "packetsLost": 0,
}


def validator(name: str) -> Any:
    schema = msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def test_the_schemas_are_up_to_date() -> None:
    written = {file.stem: file.read_text() for file in FOLDER.glob("*.json")}

    assert written == {name: text(schema) for name, schema in documents().items()}, "run `make schema` and check it in"


@pytest.mark.parametrize("name", documents())
def test_each_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(documents()[name])


@pytest.mark.parametrize(
    "say",
    [
        JOINED,
        says.MemberLeft(room="r", position=4, connection_id="c", reason="expired"),
        says.MemberChanged(room="r", connection_id="c", availability="busy", metadata={}),
        says.SignalFrom(from_="c", data=Raw(b"[1]")),
        says.Message(room="r", from_="c", data=Raw(b"{}")),
        says.Message(data=Raw(b"1")),
        CHAT,
        says.Ok(ref="a"),
        says.JoinOk(ref="a", room="r", epoch="e", position=2, members=[MEMBER], recovered=True, missed=[JOINED, CHAT]),
        says.ChatOk(ref="a", room="r", id="m", position=3, time="2026-01-01T00:00:00.000Z"),
        says.Error(ref=None, code=ErrorCode.NOT_MEMBER, message="No."),
    ],
)
def test_what_the_dialect_writes_fits_the_schema_of_frames(say: says.ToClient) -> None:
    frame = msgspec.json.decode(ParleyV1().encode(say, 4096) or b"")

    validator("parley.v1.server").validate(frame)


def test_what_a_gateway_says_itself_fits_the_schema_of_frames() -> None:
    welcome = Welcome(
        connection_id="c", app="a", resume_token="t", resumed=False, heartbeat_seconds=25, time="2026-01-01T00:00:00Z"
    )
    for frame in (welcome, Pong(time="2026-01-01T00:00:00.000Z", n=3)):
        validator("parley.v1.server").validate(msgspec.json.decode(ParleyV1().write(frame)))


@pytest.mark.parametrize(
    ("frame", "fits"),
    [
        ({"action": "join", "room": "r"}, True),
        ({"action": "join", "room": "r", "ref": "a", "since": {"epoch": "e", "position": 1}}, True),
        ({"action": "chat", "room": "r", "id": "m", "text": "hi"}, True),
        ({"action": "chat", "room": "r", "id": "m", "text": "hi", "data": [1]}, True),
        ({"action": "ping"}, True),
        ({"action": "report", "room": "r", "peers": [PEER]}, True),
        ({"action": "report", "room": "r", "peers": [PEER | {"jitterMs": None, "setupMs": 1.5}]}, True),
        ({"action": "report", "room": "r", "peers": [PEER | {"bytesSent": -1}]}, False),
        ({"action": "report", "room": "r", "peers": [PEER | {"connectionId": "bob"}]}, False),
        ({"action": "report", "room": "r", "peers": [PEER] * 65}, False),
        ({"action": "join"}, False),
        ({"action": "dance"}, False),
        ({"action": "presence", "availability": "inCall"}, False),
        ({}, False),
    ],
)
def test_the_schema_of_client_frames_knows_right_from_wrong(frame: dict[str, Any], fits: bool) -> None:
    assert validator("parley.v1.client").is_valid(frame) is fits
