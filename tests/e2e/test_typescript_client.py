"""The TypeScript client against a real Parley. What is tested stands in ``clients/js/test/*.live.ts``."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from e2e.playing import CLIENT, play
from support.eventually import eventually
from support.instance import REAL, Instance
from support.otlp import OtlpReceiver

SECRET = secrets.token_urlsafe(32)


@pytest_asyncio.fixture(loop_scope="session")
async def production(tmp_path: Path) -> AsyncIterator[Instance]:
    """Give a Parley that lets nobody in without a token."""
    instance = Instance(tmp_path / "data", up=REAL, PARLEY_MODE="production", PARLEY_TOKEN_SECRET=SECRET)
    await instance.start()
    yield instance
    await instance.stop()


@pytest.mark.timeout(180)
async def test_the_typescript_client_and_the_server_understand_each_other(
    parley: Instance, production: Instance, traces: OtlpReceiver
) -> None:
    """And the server's spans are children of those that the client's program names."""
    trace, own = secrets.token_hex(16), secrets.token_hex(8)
    servers = {
        "PARLEY_TRACEPARENT": f"00-{trace}-{own}-01",
        "PARLEY_URL": parley.url,
        "PARLEY_PRODUCTION_URL": production.url,
        "PARLEY_TOKEN_SECRET": SECRET,
    }
    await play("test:live", servers, folder=CLIENT)

    def sent() -> set[str]:
        spans = [span for span in traces.traces.get(trace, []) if span.parent_id == own]
        return {str(span.attributes.get("parley.route")) for span in spans if span.name.startswith("send parley.in.")}

    await eventually(lambda: None if {"join", "chat", "presence"} <= sent() else f"only {sent()} are in its trace")
