"""Handlers that post to connections of a real Parley, as docs/how-to/lambda-handlers.md says."""

import asyncio
import json
import re
from pathlib import Path
from textwrap import dedent

from support.function import WITHIN, Answered, function
from support.instance import REAL, Instance
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "lambda-handlers.md").read_text()


def snippet() -> str:
    (found,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


async def test_the_python_handler_posts_to_who_has_spoken(parley: Instance, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(snippet())
    status = parley.status()
    environ = {"PARLEY_DATA": str(parley.folder)}
    async with function(status["nats"], tmp_path, "app:handler", environ=environ) as served:
        door = status["frontDoor"].replace("http", "ws")
        async with asyncio.timeout(WITHIN), connect(door, subprotocols=[Subprotocol("parley.v1")]) as client:
            connection = json.loads(await client.recv())["connectionId"]
            about = {"eventType": "MESSAGE", "connectionId": connection}
            event = {"requestContext": about, "body": "hello"}
            assert await served.ask(event) == Answered({"statusCode": 200}, None)
            assert json.loads(await client.recv())["data"] == "hello"
        assert (await served.ask({"requestContext": {"eventType": "CONNECT"}})).result == {"statusCode": 200}


async def test_a_handler_that_builds_its_endpoint_from_the_event_needs_tls_alone(tmp_path: Path) -> None:
    """As those of the articles do: https://{domainName}/{stage}."""
    source = """
        import boto3

        def handler(event, context):
            endpoint = f"https://{event['domainName']}/production"
            client = boto3.client("apigatewaymanagementapi", endpoint_url=endpoint)
            try:
                client.post_to_connection(ConnectionId=event["connectionId"], Data="hello")
            except client.exceptions.GoneException:
                return "gone"
    """
    (tmp_path / "app.py").write_text(dedent(source))
    instance = Instance(tmp_path / "data", up=REAL)
    await instance.start("--tls")
    try:
        status = instance.status()
        environ = {"PARLEY_DATA": str(instance.folder)}
        async with function(status["nats"], tmp_path, "app:handler", environ=environ) as served:
            event = {"domainName": status["frontDoor"].removeprefix("https://"), "connectionId": "R0oXAdfD0kwCH6w="}

            assert await served.ask(event) == Answered("gone", None)
    finally:
        await instance.stop()


async def test_sdks_post_to_where_the_app_is(parley: Instance, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        dedent("""
        import os

        def handler(event, context):
            return os.environ["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"]
    """)
    )
    status = parley.status()
    environ = {"PARLEY_DATA": str(parley.folder)}
    async with function(status["nats"], tmp_path, "app:handler", "--app", "workshop", environ=environ) as served:
        assert (await served.ask(app="workshop")).result == status["frontDoor"] + "/workshop"
