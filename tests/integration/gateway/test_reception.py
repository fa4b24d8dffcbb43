"""Who is let in, who is not, and how each dialect's clients learn of it."""

import time
from pathlib import Path

import pytest
import websockets
from structlog.testing import capture_logs
from support.gate import Client, Gate

from parley.kit import tokens
from parley.protocol.commands import Asked, Opened
from parley.protocol.ids import home_of

SECRET = "s" * 40
PRODUCTION = {"mode": "production", "token_secret": SECRET}
NONE = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhbmEiLCJleHAiOjQxMDI0NDQ4MDB9."


def token(secret: str = SECRET, app: str = "default", seconds: float = 3600, subject: str = "ana") -> str:
    return tokens.mint(secret, expires_at=time.time() + seconds, subject=subject, app=app, grants=["direct"])


BAD = {
    "missing": (None, 4500, 401, "unauthorized"),
    "forged": (token("f" * 40), 4500, 401, "unauthorized"),
    "none": (NONE, 4500, 401, "unauthorized"),
    "rubbish": ("rubbish", 4500, 401, "unauthorized"),
    "expired": (token(seconds=-5), 4501, 401, "token_expired"),
    "other app": (token(app="shop"), 4500, 401, "unauthorized"),
}


@pytest.mark.parametrize("kind", BAD)
async def test_our_clients_are_told_in_a_frame_why_not(nats_url: str, kind: str) -> None:
    bad, code, _, word = BAD[kind]
    async with Gate(nats_url, **PRODUCTION) as gate:
        offered = ["parley.v1"] + ([f"bearer.{bad}"] if bad else [])
        client = Client(await gate.socket("/?app=default", subprotocols=offered))

        error = await client.hear()

        assert (error["type"], error["code"]) == ("error", word)
        assert await client.code() == code
        assert await gate.commands(Opened) == []


@pytest.mark.parametrize("kind", BAD)
async def test_other_clients_are_answered_before_the_upgrade(nats_url: str, kind: str) -> None:
    bad, _, status, word = BAD[kind]
    async with Gate(nats_url, **PRODUCTION) as gate:
        with pytest.raises(websockets.InvalidStatus) as refused, capture_logs() as logs:
            await gate.workshop(f"/prod?app=default&token={bad or ''}")

        assert refused.value.response.status_code == status
        assert {"event": "refused", "log_level": "info", "dialect": "apigw", "code": word} in logs


async def test_a_token_may_come_in_three_places(nats_url: str) -> None:
    good = token()
    async with Gate(nats_url, **PRODUCTION) as gate:
        await gate.client(f"/?token={good}&userId=eve")
        await gate.client(additional_headers={"Authorization": f"Bearer {good}"})
        await gate.client(subprotocols=["parley.v1", f"bearer.{good}"])
        await gate.workshop(f"/prod?token={good}")
        await gate.workshop("/prod", subprotocols=[f"bearer.{good}"])

        opened = await gate.logged(Opened, 5)

        assert [command.profile.user_id for command in opened] == ["ana"] * 5
        assert all("token" not in command.profile.metadata for command in opened)


async def test_a_fresh_token_goes_on_without_reconnecting(nats_url: str) -> None:
    async with Gate(nats_url, **PRODUCTION) as gate:
        client = await gate.client(f"/?token={token()}")
        await client.say({"action": "token", "token": token("f" * 40), "ref": "bad"})
        assert (await client.hear())["code"] == "unauthorized"
        await client.say({"action": "token", "token": token(subject="eve"), "ref": "other"})
        assert (await client.hear())["code"] == "unauthorized"

        await client.say({"action": "token", "token": token(seconds=7200), "ref": "good"})

        answer = await client.hear()
        assert (answer["type"], answer["ref"]) == ("ok", "good")
        assert answer["expiresAt"].endswith("Z")


async def test_a_token_that_runs_out_ends_the_connection(nats_url: str) -> None:
    async with Gate(nats_url, **PRODUCTION, heartbeat_seconds=0.5) as gate:
        client = await gate.client(f"/?token={token(seconds=1.5)}")

        assert (await client.hear())["code"] == "token_expired"
        assert await client.code() == 4501


async def test_an_app_may_take_no_reports(nats_url: str, tmp_path: Path) -> None:
    file = tmp_path / "parley.yaml"
    file.write_text("apps: {quiet: {reports: false, paths: [/quiet]}}")
    report = {"action": "report", "room": "r", "peers": [], "ref": "1"}
    async with Gate(nats_url, apps=str(file)) as gate:
        other = await gate.client()
        await other.say(report)
        for path in ("/quiet", "/?app=quiet"):
            client = await gate.client(path)
            await client.say(report)

            answer = await client.hear()

            assert (answer["type"], answer["code"], answer["ref"]) == ("error", "not_allowed", "1")

        (asked,) = await gate.logged(Asked)
        assert asked.connection == other.id


async def test_pages_of_other_origins_stay_out(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await gate.workshop(origin="https://evil.example")
        ours = Client(await gate.socket(origin="https://evil.example", subprotocols=["parley.v1"]))

        assert refused.value.response.status_code == 403
        assert (await ours.hear())["code"] == "not_allowed"
        assert await ours.code() == 4500
        assert await gate.client(origin="http://localhost:5173")


@pytest.mark.parametrize("path", ["/", "/prod", "/prod/", "/?a=1"])
async def test_api_gateway_s_paths_are_its_dialect(nats_url: str, path: str) -> None:
    async with Gate(nats_url) as gate:
        client = await gate.workshop(path)
        await client.say("x")

        assert (await client.hear())["message"] == "Forbidden"


async def test_other_paths_are_ours_alone(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await gate.workshop("/a/b")

        assert refused.value.response.status_code == 404
        assert await gate.client("/a/b/c")


async def test_the_app_comes_from_the_query_in_development(nats_url: str) -> None:
    async with Gate(nats_url) as gate:
        assert (await gate.client("/?app=shop")).welcome["app"] == "shop"
        bad = Client(await gate.socket("/?app=a.b", subprotocols=["parley.v1"]))
        assert (await bad.hear())["code"] == "not_found"
        assert await bad.code() == 4500


@pytest.mark.parametrize(
    "query", ["a=%00", "a=%ff", "&".join(f"k{i}=1" for i in range(300)), "userId=" + "x" * 256, "deviceId=" + "x" * 256]
)
async def test_a_query_that_cannot_be_kept_is_refused(nats_url: str, query: str) -> None:
    async with Gate(nats_url) as gate:
        with pytest.raises(websockets.InvalidStatus) as refused:
            await gate.workshop(f"/?{query}")

        assert refused.value.response.status_code == 400


async def test_a_device_of_yown_s_is_the_same_whosever_it_is_and_of_others_it_is_not(nats_url: str) -> None:
    async with Gate(nats_url, token_secret=SECRET) as gate:
        for app in ("yown", "workshop"):
            for subject in ("ana", "eve"):
                await gate.workshop(f"/{app}?deviceId=d&token={token(app=app, subject=subject)}")

        opened = await gate.logged(Opened, 4)

        of = {app: [command for command in opened if command.app == app] for app in ("yown", "workshop")}
        assert [command.subject for command in of["yown"]] == [None, None]
        assert len({home_of(command.connection, 16) for command in of["yown"]}) == 1
        assert {command.subject for command in of["workshop"]} == {"ana", "eve"}
        assert {command.profile.user_id for command in opened} == {"ana", "eve"}
