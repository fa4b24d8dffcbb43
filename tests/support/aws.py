"""AWS's SDKs as backends use them, and what a program sees of each call of the management API."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

CLIENTS = Path(__file__).parents[1] / "clients" / "aws"

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # AWS's own, of its examples

Seen = dict[str, Any]
"""``{"ok": what came back, "status"}`` or ``{"error": {"name", "status", "message", "typed"}}``."""

Sdk = Callable[..., Awaitable[list[Seen]]]
"""Given calls, makes them one after the other."""


def call(what: str, endpoint: str, connection: str, data: str | None = None) -> dict[str, Any]:
    """Return one call: ``post``, ``get`` or ``delete``."""
    return {"call": what, "endpoint": endpoint, "id": connection, "data": data}


def management_client(endpoint: str, key: str = KEY, secret: str = SECRET) -> Any:
    """Return boto3's client, which asks once."""
    return boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


async def python(calls: Sequence[dict[str, Any]], key: str = KEY, secret: str = SECRET) -> list[Seen]:
    """Call with boto3."""
    return await asyncio.to_thread(
        lambda: [_seen(management_client(each["endpoint"], key, secret), each) for each in calls]
    )


def _seen(client: Any, call: dict[str, Any]) -> Seen:
    method = getattr(client, f"{call['call']}_connection".replace("post_", "post_to_"))
    try:
        ok = method(ConnectionId=call["id"], **({"Data": call["data"]} if call["call"] == "post" else {}))
    except ClientError as error:
        said, status = error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        typed = type(error) is not ClientError and type(error) is getattr(client.exceptions, said["Code"])
        return {"error": {"name": said["Code"], "status": status, "message": said["Message"], "typed": typed}}
    return {"ok": ok, "status": ok.pop("ResponseMetadata")["HTTPStatusCode"]}


async def _node(version: str, calls: Sequence[dict[str, Any]], key: str, secret: str) -> list[Seen]:
    process = await asyncio.create_subprocess_exec(
        *("node", "manage.mjs", version), cwd=CLIENTS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    wanted = {"accessKeyId": key, "secretAccessKey": secret, "calls": calls}
    out, _ = await process.communicate(json.dumps(wanted).encode())
    assert process.returncode == 0
    seen: list[Seen] = json.loads(out)
    return seen


async def javascript_v3(calls: Sequence[dict[str, Any]], key: str = KEY, secret: str = SECRET) -> list[Seen]:
    """Call with the AWS SDK for JavaScript, version 3."""
    return await _node("v3", calls, key, secret)


async def javascript_v2(calls: Sequence[dict[str, Any]], key: str = KEY, secret: str = SECRET) -> list[Seen]:
    """Call with the AWS SDK for JavaScript, version 2."""
    return await _node("v2", calls, key, secret)


SDKS = [
    pytest.param(python, id="boto3"),
    pytest.param(javascript_v3, id="javascript v3"),
    pytest.param(javascript_v2, id="javascript v2", marks=pytest.mark.conformance),
]
"""For tests: all of them."""
