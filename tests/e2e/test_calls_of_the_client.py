"""The TypeScript client's calls, in a real browser against a real Parley. What is tested stands in ``sdk.e2e.mjs``."""

import pytest
from e2e.playing import play
from support.instance import Instance


@pytest.mark.e2e
@pytest.mark.timeout(600)
async def test_clients_call_each_other_whatever_the_network_does(parley: Instance) -> None:
    await play("test:sdk", {"PARLEY_URL": parley.url})
