"""A query parameter that does not exist is refused by every route, in words that name those that do."""

import re
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from parley.history.api import history_api
from parley.history.stream import streaming
from parley.kit.tokens import Tokens
from parley.presence.api import presence_api
from parley.rooms.api import rooms_api

NOTHING = cast("Any", None)
"""In place of a database and a bus: what is refused here comes to neither."""

TOKENS = Tokens(development=True)
APPS = {
    "presence": presence_api(NOTHING, NOTHING, NOTHING, TOKENS, development=True),
    "rooms": rooms_api(NOTHING, NOTHING, TOKENS, NOTHING, development=True),
    "history": streaming(history_api(NOTHING, TOKENS, development=True), NOTHING, NOTHING),
}
OPERATIONS = [
    pytest.param(app, method, path, operation, id=f"{service} {method} {path}")
    for service, app in APPS.items()
    for path, item in app.openapi()["paths"].items()
    for method, operation in item.items()
]


@pytest.mark.parametrize(("app", "method", "path", "operation"), OPERATIONS)
@pytest.mark.parametrize("wrong", ["colour", "Limit", "metadata", "from_", ""])
async def test_a_parameter_that_does_not_exist(
    app: FastAPI, method: str, path: str, operation: dict[str, Any], wrong: str
) -> None:
    described = sorted(each["name"] for each in operation["parameters"] if each["in"] == "query")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://parley") as http:
        answer = await http.request(method, re.sub(r"\{.*?\}", "x", path), params={wrong: "1"})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert answer.json()["message"] == f"There is no parameter {wrong!r}; those that there are: {', '.join(described)}."
