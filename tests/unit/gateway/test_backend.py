"""What waits for an app's routes is not held up by what goes wrong before it."""

import json
from typing import Any

from support.eventually import eventually

from parley.gateway.backend import Backend, Backends
from parley.gateway.integrations import Integrations
from parley.gateway.session import Call
from parley.protocol.apps import App, Integration, Route
from parley.protocol.proxy import Caller, Handshake

CALLER = Caller(connection="c=", api="shop", stage="prod", domain="d", address="a", agent="", connected_at=1)


class Broken(Integrations):
    """Has a bug that one frame meets."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def call(self, app: str, route: str, integration: Integration, event: dict[str, Any]) -> bytes:
        self.asked.append(event.get("body", route))
        if event.get("body") == "bug":
            raise LookupError("a bug of ours")
        return b'{"body":"fine"}'


async def test_a_bug_that_one_frame_meets_costs_no_other_its_answer_and_the_end_is_told() -> None:
    called = Broken()
    app = App(routes={"do": Route(nats=True, response=True), "$disconnect": Route(nats=True)})
    backend = Backend(Backends(called), app, CALLER, Handshake(headers={}, query=()))
    said: list[bytes] = []
    backend.say = said.append

    for body in ("bug", "next"):
        backend.message(Call("do", body))
    await eventually(lambda: len(said) < 2)
    backend.closed(1000, "")
    await eventually(lambda: called.asked != ["bug", "next", "$disconnect"])

    assert json.loads(said[0])["message"] == "Internal server error"
    assert said[1] == b"fine"
