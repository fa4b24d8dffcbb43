"""The clients of Kinesis Video Streams' signaling, unmodified, under TLS and with signatures that are checked."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import pytest_asyncio
from botocore.config import Config
from support.instance import REAL, Instance

CLIENTS = Path(__file__).parents[1] / "clients"
KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # AWS's own, of its examples
YAML = f"apps: {{shop: {{profile: kvs, accessKeys: {{{KEY}: {SECRET}}}}}}}"

pytestmark = pytest.mark.timeout(180)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Any]]:
    """Give the status of an instance with TLS, in which signatures are checked."""
    folder = tmp_path_factory.mktemp("kinesis")
    (folder / "parley.yaml").write_text(YAML)
    instance = Instance(
        folder / "data",
        up=REAL,
        PARLEY_APPS=str(folder / "parley.yaml"),
        PARLEY_MODE="production",
        TURN_URLS="turn:turn.example:3478?transport=udp,turns:turn.example:5349?transport=tcp",
        TURN_SECRET="north",
        TURN_TTL="300",
    )
    await instance.start("--tls")
    yield instance.status()
    await instance.stop()


async def node(script: str, shop: dict[str, Any]) -> dict[str, Any]:
    """Return what a program of one of the clients has seen."""
    path = CLIENTS / script
    process = await asyncio.create_subprocess_exec(
        *("node", path.name),
        cwd=path.parent,
        env={"PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": shop["rootCertificate"]},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    wanted = {"endpoint": shop["frontDoor"], "accessKeyId": KEY, "secretAccessKey": SECRET, "channel": path.stem}
    out, trouble = await process.communicate(json.dumps(wanted).encode())
    assert process.returncode == 0, trouble.decode()
    seen: dict[str, Any] = json.loads(out)
    return seen


async def test_the_javascript_master_and_its_viewers_find_each_other(shop: dict[str, Any]) -> None:
    seen = await node("kinesis/signaling.mjs", shop)

    def candidate(n: int, sender: str | None) -> list[Any]:
        return ["iceCandidate", {"candidate": f"candidate:{n} é", "sdpMid": "0", "sdpMLineIndex": 0}, sender]

    def description(event: str, kind: str, sdp: str, sender: str | None) -> list[Any]:
        return [event, {"type": kind, "sdp": f"v=0 {sdp}"}, sender]

    *heard, status = seen["master"]
    assert heard == [
        description("sdpOffer", "offer", "first", "viewer-1"),
        candidate(1, "viewer-1"),
        candidate(2, "viewer-1"),
        description("sdpOffer", "offer", "second", "viewer-2"),
    ]
    assert (status[0], status[1]["correlationId"], status[1]["errorType"], status[1]["statusCode"]) == (
        "statusResponse",
        "corr-1",
        "InvalidArgumentException",
        "400",
    )
    assert seen["first"] == [description("sdpAnswer", "answer", "to first", None), candidate(3, None)]
    assert seen["second"] == [description("sdpAnswer", "answer", "to second", None)]
    assert seen["described"] == {"same": True, "status": "ACTIVE", "created": True}
    assert seen["tags"] == {"team": "a"}
    assert (seen["missing"], seen["twice"]) == ([True, 404], [True, 400])
    assert [len(server["Uris"]) for server in seen["ice"]] == [2]
    assert (seen["ice"][0]["Ttl"], seen["ice"][0]["Username"].partition(":")[2]) == (300, "master")
    assert "403" in seen["forged"]


async def test_the_javascript_sdk_of_before_asks_too_and_corrects_its_clock(shop: dict[str, Any]) -> None:
    seen = await node("aws/kinesis.mjs", shop)

    assert seen["created"]
    assert [each["ResourceEndpoint"] for each in seen["endpoints"]] == [
        shop["frontDoor"].replace("https", "wss"),
        shop["frontDoor"],
    ]
    assert seen["ice"][0]["Username"].partition(":")[2] == "viewer-1"
    assert seen["missing"] == ["ResourceNotFoundException", 404]
    assert seen["forged"] == seen["skewed"] == ["InvalidSignatureException", 403]
    assert seen["corrected"] == ["ResourceNotFoundException", 404]


def test_boto3_asks_under_tls(shop: dict[str, Any]) -> None:
    settings: dict[str, Any] = {
        "endpoint_url": shop["frontDoor"],
        "region_name": "eu-west-1",
        "aws_access_key_id": KEY,
        "aws_secret_access_key": SECRET,
        "verify": shop["rootCertificate"],
        "config": Config(proxies={}),
    }
    kinesis = boto3.client("kinesisvideo", **settings)
    arn = kinesis.create_signaling_channel(ChannelName="boto")["ChannelARN"]

    found = kinesis.get_signaling_channel_endpoint(
        ChannelARN=arn, SingleMasterChannelEndpointConfiguration={"Protocols": ["WSS", "HTTPS"], "Role": "VIEWER"}
    )["ResourceEndpointList"]
    ice = boto3.client("kinesis-video-signaling", **settings).get_ice_server_config(ChannelARN=arn, ClientId="v")

    assert {each["Protocol"]: each["ResourceEndpoint"] for each in found} == {
        "WSS": shop["frontDoor"].replace("https", "wss"),
        "HTTPS": shop["frontDoor"],
    }
    assert ice["IceServerList"][0]["Ttl"] == 300
