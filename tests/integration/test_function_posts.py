"""Handlers that post to connections of a real Parley, as docs/how-to/lambda-handlers.md says."""

import asyncio
import re
import ssl
from pathlib import Path
from textwrap import dedent

from support.function import WITHIN, function
from support.instance import REAL, Instance
from websockets.asyncio.client import connect

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "lambda-handlers.md").read_text()


def snippet(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


async def test_the_page_as_it_stands(tmp_path: Path) -> None:
    """A client of API Gateway's, the page's yaml and handler; and a handler that builds its endpoint from the event."""
    (tmp_path / "parley.yaml").write_text(snippet("yaml"))
    (tmp_path / "app.py").write_text(snippet("python"))
    (tmp_path / "old.py").write_text(dedent(OLD))
    instance = Instance(tmp_path / "data", up=REAL, PARLEY_APPS=str(tmp_path / "parley.yaml"))
    await instance.start("--tls")
    try:
        status = instance.status()
        door = status["frontDoor"].replace("https", "wss") + "/production"
        tls = ssl.create_default_context(cafile=status["rootCertificate"])
        environ = {"PARLEY_DATA": str(instance.folder), "PARLEY_APPS": "parley.yaml"}
        for handler in ("app:handler", "old:handler"):
            routes = ("--route", "$connect", "--route", "$disconnect")
            async with (
                function(status["nats"], tmp_path, handler, *routes, environ=environ) as served,
                asyncio.timeout(WITHIN),
                connect(door, ssl=tls) as client,
            ):
                await client.send('{"action":"sendMsg","n":1}')

                assert await client.recv() == '{"action":"sendMsg","n":1}', served.said
    finally:
        await instance.stop()


OLD = """
    import boto3

    def handler(event, context):
        about = event["requestContext"]
        if about["routeKey"] == "sendMsg":
            endpoint = f"https://{about['domainName']}/{about['stage']}"
            client = boto3.client("apigatewaymanagementapi", endpoint_url=endpoint)
            client.post_to_connection(ConnectionId=about["connectionId"], Data=event["body"])
        return {}
"""


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
