"""The console in a real browser, against a real Parley with real clients; the stories stand in `console.e2e.mjs`."""

import pytest
from e2e.playing import play
from support.instance import Instance


def token(parley: Instance, lifetime: str) -> str:
    """Return a token of somebody who may do everything in an app."""
    minted = parley.parley("token", "--admin", "--app", "operated", "--sub", "olga", "--for", lifetime)
    return minted.stdout.strip()


@pytest.mark.e2e
@pytest.mark.timeout(300)
async def test_an_operator_sees_what_happens_at_the_console(parley: Instance) -> None:
    tokens = {"PARLEY_EXPIRED_TOKEN": token(parley, "1s"), "PARLEY_ADMIN_TOKEN": token(parley, "1h")}
    await play("test:console", tokens | {"PARLEY_URL": parley.url, "PARLEY_TRACES": "http://traces.test/"})
