"""The control plane of Kinesis Video Streams' signaling, as boto3 sees it at the front door."""

import asyncio
import hmac
import json
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import boto3
import httpx
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError
from support.instance import REAL, Instance

from parley.cli import front_door
from parley.rooms.channels.calls import CALLS

pytestmark = pytest.mark.timeout(120)

ANA = ("AKIDANA", "ana's secret")
BOB = ("AKIDBOB", "bob's secret")
TURN_SECRET = "north"

YAML = f"""
apps:
  shop:
    accessKeys: {{{ANA[0]}: "{ANA[1]}"}}
  other:
    accessKeys: {{{BOB[0]}: "{BOB[1]}"}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict_url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give an instance in which two apps have keys, with a TURN server."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "parley.yaml").write_text(YAML)
    turn = ",".join(f"turn:turn.example:{port}?transport=udp" for port in range(3478, 3484))
    instance = Instance(
        folder / "data",
        up=REAL,
        PARLEY_APPS=str(folder / "parley.yaml"),
        PARLEY_MODE="production",
        GATEWAY_ORIGINS="*",
        TURN_URLS=turn,
        TURN_SECRET=TURN_SECRET,
        TURN_TTL="7200",
    )
    await instance.start()
    yield instance.url
    await instance.stop()


@pytest.fixture(scope="module")
def url(parley: Instance) -> str:
    return parley.url


def client(url: str, key: tuple[str, str] = ANA, *, region: str = "eu-west-1", service: str = "kinesisvideo") -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def name() -> str:
    return f"test-{secrets.token_hex(4)}"


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[int, str]:
    """Return the status and the name of the exception, which is the model's own class where the model has one."""
    with pytest.raises(ClientError) as error:
        call(**arguments)
    said = error.value.response
    return said["ResponseMetadata"]["HTTPStatusCode"], said["Error"]["Code"]


class TestAChannel:
    def test_is_there_as_soon_as_it_was_made(self, url: str) -> None:
        kinesis, channel = client(url), name()

        arn = kinesis.create_signaling_channel(ChannelName=channel)["ChannelARN"]

        found = kinesis.describe_signaling_channel(ChannelName=channel)["ChannelInfo"]
        assert found == kinesis.describe_signaling_channel(ChannelARN=arn)["ChannelInfo"]
        assert (found["ChannelName"], found["ChannelARN"]) == (channel, arn)
        assert (found["ChannelType"], found["ChannelStatus"]) == ("SINGLE_MASTER", "ACTIVE")
        assert found["SingleMasterConfiguration"] == {"MessageTtlSeconds": 60}
        assert abs(found["CreationTime"] - datetime.now(UTC)).total_seconds() < 60
        partition, service, region, account, path = arn.split(":")[1:]
        assert (partition, service, region) == ("aws", "kinesisvideo", "eu-west-1")
        assert (len(account), account.isdigit()) == (12, True)
        assert path == f"channel/{channel}/{found['CreationTime'].timestamp() * 1000:.0f}"

    def test_has_a_name_of_its_own_in_its_region(self, url: str) -> None:
        kinesis, channel = client(url), name()
        kinesis.create_signaling_channel(ChannelName=channel)

        assert refused(kinesis.create_signaling_channel, ChannelName=channel) == (400, "ResourceInUseException")

        elsewhere = client(url, region="us-west-2")
        assert refused(elsewhere.describe_signaling_channel, ChannelName=channel) == (404, "ResourceNotFoundException")
        elsewhere.create_signaling_channel(ChannelName=channel)

    def test_changes_its_version_with_each_change_and_refuses_an_old_one(self, url: str) -> None:
        kinesis = client(url)
        arn = kinesis.create_signaling_channel(ChannelName=name(), SingleMasterConfiguration={"MessageTtlSeconds": 5})[
            "ChannelARN"
        ]
        before = kinesis.describe_signaling_channel(ChannelARN=arn)["ChannelInfo"]
        change = partial(kinesis.update_signaling_channel, ChannelARN=arn, CurrentVersion=before["Version"])

        change(SingleMasterConfiguration={"MessageTtlSeconds": 120})

        after = kinesis.describe_signaling_channel(ChannelARN=arn)["ChannelInfo"]
        assert (before["SingleMasterConfiguration"]["MessageTtlSeconds"], after["SingleMasterConfiguration"]) == (
            5,
            {"MessageTtlSeconds": 120},
        )
        assert after["Version"] != before["Version"]
        assert after["Version"].isalnum()
        assert refused(change) == (400, "VersionMismatchException")
        delete = partial(kinesis.delete_signaling_channel, ChannelARN=arn)
        assert refused(partial(delete, CurrentVersion=before["Version"])) == (400, "VersionMismatchException")

    def test_that_was_deleted_is_gone_and_one_of_its_name_is_another(self, url: str) -> None:
        kinesis, channel = client(url), name()
        arn = kinesis.create_signaling_channel(ChannelName=channel)["ChannelARN"]

        kinesis.delete_signaling_channel(ChannelARN=arn)

        assert refused(kinesis.describe_signaling_channel, ChannelName=channel) == (404, "ResourceNotFoundException")
        assert refused(kinesis.delete_signaling_channel, ChannelARN=arn) == (404, "ResourceNotFoundException")
        assert kinesis.create_signaling_channel(ChannelName=channel)["ChannelARN"] != arn
        assert refused(kinesis.describe_signaling_channel, ChannelARN=arn) == (404, "ResourceNotFoundException")

    def test_has_tags_that_go_in_as_a_list_and_come_out_as_a_map(self, url: str) -> None:
        kinesis = client(url)
        arn = kinesis.create_signaling_channel(ChannelName=name(), Tags=[{"Key": "team", "Value": "a"}])["ChannelARN"]

        kinesis.tag_resource(ResourceARN=arn, Tags=[{"Key": "team", "Value": "b"}, {"Key": "été", "Value": ""}])
        assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "b", "été": ""}
        kinesis.untag_resource(ResourceARN=arn, TagKeyList=["team", "other"])
        assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"été": ""}

        many = [{"Key": f"k{n}", "Value": "v"} for n in range(50)]
        assert refused(kinesis.tag_resource, ResourceARN=arn, Tags=many) == (
            400,
            "TagsPerResourceExceededLimitException",
        )

    def test_is_reached_where_the_front_door_is(self, url: str) -> None:
        kinesis = client(url)
        arn = kinesis.create_signaling_channel(ChannelName=name())["ChannelARN"]
        endpoint = partial(kinesis.get_signaling_channel_endpoint, ChannelARN=arn)

        found = endpoint(SingleMasterChannelEndpointConfiguration={"Protocols": ["WSS", "HTTPS"], "Role": "MASTER"})[
            "ResourceEndpointList"
        ]

        assert found == [
            {"Protocol": "WSS", "ResourceEndpoint": url.replace("http", "ws")},
            {"Protocol": "HTTPS", "ResourceEndpoint": url},
        ]
        ingestion = {"Protocols": ["WEBRTC"], "Role": "VIEWER"}
        assert refused(endpoint, SingleMasterChannelEndpointConfiguration=ingestion) == (
            400,
            "InvalidArgumentException",
        )

    def test_stores_no_media(self, url: str) -> None:
        kinesis, channel = client(url), name()
        kinesis.create_signaling_channel(ChannelName=channel)

        found = kinesis.describe_media_storage_configuration(ChannelName=channel)

        assert found["MediaStorageConfiguration"] == {"Status": "DISABLED"}


def test_an_endpoint_never_names_the_usual_port(url: str) -> None:
    arn = client(url).create_signaling_channel(ChannelName=name())["ChannelARN"]

    found = httpx.post(
        f"{url}/getSignalingChannelEndpoint", json={"ChannelARN": arn}, headers={"Host": "parley.example:80"}
    ).json()

    assert [each["ResourceEndpoint"] for each in found["ResourceEndpointList"]] == [
        "ws://parley.example",
        "http://parley.example",
    ]


def test_channels_are_listed_by_name_in_pages(url: str) -> None:
    kinesis, prefix = client(url), name()
    names = [f"{prefix}{end}" for end in ("", "-B", "-a", ".", "_")]
    for each in names:
        kinesis.create_signaling_channel(ChannelName=each)
    condition = {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": prefix}

    pages = kinesis.get_paginator("list_signaling_channels").paginate(
        ChannelNameCondition=condition, PaginationConfig={"PageSize": 2}
    )

    found = [[info["ChannelName"] for info in page["ChannelInfoList"]] for page in pages]
    assert [len(page) for page in found] == [2, 2, 1]
    assert [each for page in found for each in page] == sorted(names)
    assert refused(kinesis.list_signaling_channels, NextToken="junk") == (400, "InvalidArgumentException")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("createSignalingChannel", {}),
        ("createSignalingChannel", {"ChannelName": "a b"}),
        ("createSignalingChannel", {"ChannelName": "x" * 257}),
        ("createSignalingChannel", {"ChannelName": "x\n"}),
        ("createSignalingChannel", {"ChannelName": 7}),
        ("createSignalingChannel", {"ChannelName": "x", "ChannelType": "FULL_MESH"}),
        ("createSignalingChannel", {"ChannelName": "x", "SingleMasterConfiguration": {"MessageTtlSeconds": 4}}),
        ("createSignalingChannel", {"ChannelName": "x", "SingleMasterConfiguration": {"MessageTtlSeconds": 121}}),
        ("createSignalingChannel", {"ChannelName": "x", "Tags": [{"Key": "\0", "Value": ""}]}),
        ("createSignalingChannel", {"ChannelName": "x", "Tags": [{"Key": "a"}]}),
        ("describeSignalingChannel", {}),
        ("describeSignalingChannel", {"ChannelARN": "arn:aws:s3:::bucket"}),
        ("describeSignalingChannel", {"ChannelARN": "\0"}),
        ("listSignalingChannels", {"MaxResults": 0}),
        ("updateSignalingChannel", {"ChannelARN": "arn:aws:kinesisvideo:eu-west-1:000000000000:channel/x/1"}),
        ("v1/get-ice-server-config", {"ClientId": "x"}),
        ("TagResource", "nonsense"),
    ],
)
def test_a_wrong_argument_is_said(url: str, path: str, body: Any) -> None:
    answer = httpx.post(f"{url}/{path}", json=body)

    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "InvalidArgumentException")
    assert answer.json()["Message"]


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"ChannelName": "\\ud800"}', b"x" * 300_000])
def test_junk_is_refused_and_nobody_else_notices(url: str, body: bytes) -> None:
    answer = httpx.post(f"{url}/createSignalingChannel", content=body)

    assert answer.status_code in {400, 413}
    assert client(url).list_signaling_channels(MaxResults=1)["ChannelInfoList"] is not None


def test_a_page_of_another_origin_may_ask_where_its_headers_are_those_of_the_sdk(url: str) -> None:
    answer = httpx.options(
        f"{url}/createSignalingChannel",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "amz-sdk-invocation-id,amz-sdk-request,authorization,x-amz-date",
        },
    )

    assert answer.status_code == httpx.codes.OK
    assert "x-amz-date" in answer.headers["access-control-allow-headers"]


def test_times_are_numbers_and_the_clock_is_said(url: str) -> None:
    channel = name()
    client(url).create_signaling_channel(ChannelName=channel)

    answer = httpx.post(f"{url}/describeSignalingChannel", json={"ChannelName": channel}, headers={})

    assert answer.status_code == httpx.codes.NOT_FOUND  # unsigned, so of another region
    assert answer.headers["date"]
    signed = client(url).describe_signaling_channel(ChannelName=channel)
    assert signed["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/json"


class TestWhereAppsHaveKeys:
    def test_a_good_signature_is_the_app(self, strict_url: str) -> None:
        ana, bob, channel = client(strict_url, ANA), client(strict_url, BOB), name()

        arns = {each.create_signaling_channel(ChannelName=channel)["ChannelARN"] for each in (ana, bob)}

        assert len({arn.split(":")[4] for arn in arns}) == 2  # each its own account
        assert all(len(each.list_signaling_channels()["ChannelInfoList"]) for each in (ana, bob))

    def test_another_apps_channel_is_not_there(self, strict_url: str) -> None:
        ana, bob = client(strict_url, ANA), client(strict_url, BOB)
        arn = ana.create_signaling_channel(ChannelName=name())["ChannelARN"]

        for call in (bob.describe_signaling_channel, bob.delete_signaling_channel, bob.get_signaling_channel_endpoint):
            assert refused(call, ChannelARN=arn) == (404, "ResourceNotFoundException")
        assert refused(bob.list_tags_for_resource, ResourceARN=arn) == (404, "ResourceNotFoundException")
        ice = client(strict_url, BOB, service="kinesis-video-signaling")
        assert refused(ice.get_ice_server_config, ChannelARN=arn) == (404, "ResourceNotFoundException")
        assert ana.describe_signaling_channel(ChannelARN=arn)["ChannelInfo"]

    def test_a_bad_signature_an_unknown_key_and_none_are_403(self, strict_url: str) -> None:
        for key, why in (
            ((ANA[0], "wrong"), "InvalidSignatureException"),
            (("AKIDNOBODY", "x"), "UnrecognizedClientException"),
        ):
            assert refused(client(strict_url, key).list_signaling_channels) == (403, why)
        answer = httpx.post(f"{strict_url}/listSignalingChannels", json={})
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")

    def test_a_request_of_yesterday_is_not_carried_out(self, strict_url: str) -> None:
        """A replay of what somebody overheard; and a clock that is wrong."""
        kinesis = client(strict_url)

        def yesterday(request: Any, **_: Any) -> None:
            request.context["timestamp"] = "20200101T000000Z"

        kinesis.meta.events.register_first("before-sign", yesterday)
        headers: dict[str, str] = {}
        kinesis.meta.events.register("before-send", lambda request, **_: headers.update(request.headers))
        kinesis.list_signaling_channels()
        headers["X-Amz-Date"] = "20200101T000000Z"

        answer = httpx.post(f"{strict_url}/listSignalingChannels", content=b"{}", headers=headers)

        assert answer.status_code in {400, 403}

    def test_turn_credentials_hold_for_their_ttl_and_a_server_has_four_uris(self, strict_url: str) -> None:
        arn = client(strict_url).create_signaling_channel(ChannelName=name())["ChannelARN"]
        signaling = client(strict_url, service="kinesis-video-signaling")

        found = signaling.get_ice_server_config(ChannelARN=arn, ClientId="viewer-1")["IceServerList"]

        assert [len(server["Uris"]) for server in found] == [4, 2]
        for server in found:
            expires, _, user = server["Username"].partition(":")
            assert (server["Ttl"], user) == (7200, "viewer-1")
            assert abs(int(expires) - time.time() - server["Ttl"]) < 60
            password = hmac.digest(TURN_SECRET.encode(), server["Username"].encode(), "sha1")
            assert server["Password"] == b64encode(password).decode()


async def test_of_many_who_make_the_same_channel_at_once_one_does(url: str) -> None:
    channel = name()

    async with httpx.AsyncClient() as http:
        answers = await asyncio.gather(
            *(http.post(f"{url}/createSignalingChannel", json={"ChannelName": channel}) for _ in range(10))
        )

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
    made = next(json.loads(answer.content) for answer in answers if answer.is_success)
    assert made["ChannelARN"].split("/")[1] == channel


def test_the_paths_are_those_of_the_front_door() -> None:
    """The front door spells them in its own language."""
    assert all(re.fullmatch(front_door.KINESIS, path.removeprefix("/")) for path in CALLS)
