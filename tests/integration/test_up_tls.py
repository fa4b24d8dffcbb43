"""``parley up --tls``: the front door is https, of an authority that clients can be told to trust. Watched, too."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from support.instance import Instance
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def instance(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("tls") / "data")
    await instance.start("--tls", "--observe")
    yield instance
    await instance.stop()


def trusting(instance: Instance) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=instance.status()["rootCertificate"])


def test_the_front_door_is_https_and_the_status_names_whom_to_trust(instance: Instance) -> None:
    status = instance.status()

    assert status["frontDoor"].startswith("https://127.0.0.1:")
    assert Path(status["rootCertificate"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert f"Open         {status['frontDoor']}" in instance.said
    assert f"Sockets      {status['frontDoor'].replace('https', 'wss')}" in instance.said
    assert f"Trust        {status['rootCertificate']}" in instance.said
    assert f"Trust {status['rootCertificate']}" in instance.parley("status").stdout


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_who_trusts_it_is_answered_at_either_name(instance: Instance, name: str) -> None:
    url = instance.url.replace("127.0.0.1", name)

    answer = httpx.get(f"{url}/v1/rooms", verify=trusting(instance)).json()

    assert (answer["name"], answer["headers"]["x-forwarded-proto"]) == ("rooms", "https")
    assert answer["headers"]["host"] == urlsplit(url).netloc


def test_a_host_that_was_forwarded_reaches_its_part_as_it_was_said(instance: Instance) -> None:
    answer = httpx.get(f"{instance.url}/v1/rooms", headers={"Host": "calls.example"}, verify=trusting(instance)).json()

    assert answer["headers"]["host"] == "calls.example"


def test_who_does_not_trust_it_hangs_up(instance: Instance) -> None:
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(instance.url)


async def test_sockets_are_wss(instance: Instance) -> None:
    with pytest.raises(InvalidStatus, match="418"):  # as a stand-in for a gateway says
        await connect(instance.url.replace("https", "wss"), ssl=trusting(instance), proxy=None)


def root_of(instance: Instance) -> str | None:
    root = instance.status()["rootCertificate"]
    return Path(root).read_text() if root else None


async def test_the_authority_is_the_same_at_the_next_start(tmp_path: Path) -> None:
    instance = Instance(tmp_path / "data")
    roots = []
    for arguments in (("--tls",), (), ("--tls",)):
        await instance.start(*arguments)
        roots.append(root_of(instance))
        await instance.stop()

    assert roots[0]
    assert roots == [roots[0], None, roots[0]]


def test_who_watches_is_told_where_and_sees_all_traces_there(instance: Instance) -> None:
    there = f"http://{instance.part('traces')['http']}"

    assert f"Traces       {there}" in instance.said
    assert "traces, the latest first" in httpx.get(there).text or "Nothing has come yet" in httpx.get(there).text
    assert "Prometheus   " in instance.said
