"""Who is found in a conversation, and by whom."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from support.presence import Log, closed, id_of, opened

from parley.kit.tokens import mint
from parley.presence.discovery import MOST

from .conftest import SECRET

ANA, BOB, CID, DAN, STRANGER = (id_of(number) for number in (1, 2, 3, 4, 5))


@pytest.fixture(autouse=True)
async def log(db: AsyncEngine) -> Log:
    """Two in a conversation, one in it at another store, one in none, and one of another app."""
    log = Log()
    here = {"conversationId": "c1", "storeId": "s1", "type": "host"}
    log.says(
        opened(ANA, app="yown", user_id="ana", metadata=here),
        opened(BOB, app="yown", metadata={"conversationId": "c1", "storeId": "s1"}),
        opened(CID, app="yown", metadata={"conversationId": "c1", "storeId": "s2"}),
        opened(DAN, app="yown"),
        opened(STRANGER, app="b", metadata=here),
    )
    await log.store(db)
    return log


async def both(http: httpx.AsyncClient, wanted: dict[str, str], **query: str) -> dict[str, Any]:
    """Ask with a body and with a query, and return what both find."""
    posted = (await http.post("/discovery", json=wanted, params=query)).raise_for_status().json()
    got = (await http.get("/discovery", params=wanted | query)).raise_for_status().json()
    assert posted == got
    found: dict[str, Any] = posted
    return found


async def test_who_is_in_a_conversation(http: httpx.AsyncClient) -> None:
    found = await both(http, {"conversationId": "c1", "storeId": "s1"})

    assert list(found) == ["Items", "Count", "ScannedCount"]
    assert (found["Count"], found["ScannedCount"]) == (2, 4)
    assert found["Items"][0] == {
        "connectionId": ANA,
        "userId": "ana",
        "metadata": {"conversationId": "c1", "storeId": "s1", "type": "host"},
        "availability": "online",
    }
    assert found["Items"][1]["connectionId"] == BOB


@pytest.mark.parametrize(
    ("wanted", "query", "expected"),
    [
        ({"conversationId": "c1"}, {}, [ANA, BOB, CID]),
        ({"conversationId": "c1", "storeId": "s2"}, {}, [CID]),
        ({"conversationId": "c1", "storeId": ""}, {}, []),
        ({"conversationId": "C1"}, {}, []),
        ({"conversationId": ""}, {}, []),
        ({"conversationId": "' OR 1=1 --"}, {}, []),
        ({"conversationId": "c1"}, {"app": "b"}, [STRANGER]),
        ({"conversationId": "c1"}, {"app": "nobodys"}, []),
    ],
)
async def test_both_must_be_equal(
    http: httpx.AsyncClient, wanted: dict[str, str], query: dict[str, str], expected: list[str]
) -> None:
    found = await both(http, wanted, **query)

    assert [each["connectionId"] for each in found["Items"]] == expected
    assert found["Count"] == len(expected)


async def test_whoever_has_gone_is_not_found(http: httpx.AsyncClient, log: Log, db: AsyncEngine) -> None:
    log.says(closed(ANA))
    await log.store(db)

    assert (await both(http, {"conversationId": "c1", "storeId": "s1"}))["Count"] == 1


async def test_of_a_crowd_the_oldest_are_told(http: httpx.AsyncClient, log: Log, db: AsyncEngine) -> None:
    crowd = [id_of(number) for number in range(100, 100 + MOST + 1)]
    log.says(*(opened(each, app="yown", metadata={"conversationId": "crowd"}) for each in crowd))
    await log.store(db)

    found = (await http.get("/discovery?conversationId=crowd")).json()

    assert [each["connectionId"] for each in found["Items"]] == crowd[:MOST]
    assert (found["Count"], found["ScannedCount"]) == (MOST, 4 + MOST + 1)


@pytest.mark.parametrize("body", [b"", b"{}", b"junk", b"[]", b'{"conversationId":7}', b'{"storeId":"s"}', b"\xff"])
async def test_a_body_without_a_conversation_is_refused(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/discovery", content=body, headers={"content-type": "text/plain"})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_any_page_may_ask(guarded: httpx.AsyncClient) -> None:
    asked = {"origin": "https://yown.example", "access-control-request-method": "POST"}
    before = await guarded.options("/discovery", headers={**asked, "access-control-request-headers": "content-type"})
    after = await guarded.post("/discovery", headers={"origin": "https://yown.example"})

    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == after.headers["access-control-allow-origin"] == "*"


class TestWhoMayAsk:
    async def ask(self, http: httpx.AsyncClient, query: str = "", **claims: Any) -> httpx.Response:
        token = mint(SECRET, expires_at=4_000_000_000, **claims)
        headers = {"authorization": f"Bearer {token}"}
        return await http.post(f"/discovery{query}", json={"conversationId": "c1"}, headers=headers)

    async def test_who_may_speak_to_a_connection(self, guarded: httpx.AsyncClient) -> None:
        assert (await guarded.post("/discovery", json={"conversationId": "c1"})).status_code == 401
        assert (await self.ask(guarded, app="yown", subject="ana", grants=["presence"])).status_code == 403
        for grant in ("direct", "admin"):
            answer = await self.ask(guarded, app="yown", subject="ana", grants=[grant])
            assert answer.json()["Count"] == 3

    async def test_in_the_token_s_own_app(self, guarded: httpx.AsyncClient) -> None:
        answer = await self.ask(guarded, app="b", grants=["direct"])
        assert [each["connectionId"] for each in answer.json()["Items"]] == [STRANGER]
        assert (await self.ask(guarded, "?app=yown", app="b", grants=["direct"])).status_code == 401
