"""Who is found, by whom, on which page."""

from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from support.presence import HOME, PARTITIONS, Log, calling, closed, id_of, in_room, opened, set_to

from parley.kit.tokens import mint
from parley.presence.store import store_of

from .conftest import SECRET

ANA, BOB, CID, DAN = (id_of(number) for number in (1, 2, 3, 4))
STRANGER = id_of(5)


@pytest.fixture
async def log(db: AsyncEngine) -> Log:
    """Four connections of the app ``a``, and one of another."""
    log = Log()
    cids = {"conversationId": "c2", "age": "5", "a.b c": "x", "nested": {"age": 5}}
    log.says(
        opened(ANA, user_id="ana", device_id="phone", metadata={"conversationId": "c1", "storeId": "s1"}),
        opened(BOB, user_id="bob", metadata={"conversationId": "c1", "age": 5, "vip": True, "tag": None}),
        opened(CID, user_id="cid", metadata=cids),
        opened(DAN, user_id="ana", device_id="tablet"),
        opened(STRANGER, app="b", user_id="ana", device_id="phone", metadata={"conversationId": "c1"}),
        in_room(ANA, "r"),
        in_room(BOB, "r"),
        in_room(BOB, "a/b"),
        set_to(CID, user_id="cid", availability="busy", metadata=cids),
        calling(BOB, "call", lasting=True),
    )
    await log.store(db)
    return log


async def ids(http: httpx.AsyncClient, **query: Any) -> list[str]:
    """Return who is listed, after checking that a count says the same."""
    params = {"app": "a", **query}
    listed = (await http.get("/v1/connections", params=params)).raise_for_status().json()["items"]
    counted = (await http.get("/v1/connections/count", params=params)).raise_for_status().json()
    assert counted == {"count": len(listed)}
    return [item["connectionId"] for item in listed]


def code(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"code", "message"}
    return answer.status_code, body["code"]


FILTERS: list[tuple[dict[str, str], list[str]]] = [
    ({"conversation": "c1"}, [ANA, BOB]),
    ({"user": "ana"}, [ANA, DAN]),
    ({"user": "ana", "device": "tablet"}, [DAN]),
    ({"device": "phone"}, [ANA]),
    ({"room": "r"}, [ANA, BOB]),
    ({"room": "a/b"}, [BOB]),
    ({"room": "nowhere"}, []),
    ({"availability": "online"}, [ANA, DAN]),
    ({"availability": "busy"}, [CID]),
    ({"availability": "inCall"}, [BOB]),
    ({"availability": "inCall", "conversation": "c1"}, [BOB]),
    ({"metadata.storeId": "s1"}, [ANA]),
    ({"metadata.conversationId": "c2"}, [CID]),
    ({"metadata.age": "5"}, [BOB, CID]),
    ({"metadata.age": "5", "metadata.vip": "true"}, [BOB]),
    ({"metadata.tag": "null"}, [BOB]),
    ({"metadata.a.b c": "x"}, [CID]),
    ({"metadata.nested": '{"age": 5}'}, []),
    ({"metadata.x'; drop table presence.profiles; --": "'"}, []),
    ({"user": "\uf8ff0"}, []),
    ({"metadata.": ""}, []),
    ({"metadata.age": "5.0"}, [BOB]),
    ({"metadata.tag": "1e999"}, []),
    ({"metadata.age": "9" * 5000}, []),
    ({"metadata.age": "NaN"}, []),
    ({"q": "ANA"}, [ANA, DAN]),
    ({"q": "TABL"}, [DAN]),
    ({"q": CID.lower()}, [CID]),
    ({"q": "c1"}, [ANA, BOB]),
    ({"q": "TRUE"}, [BOB]),
    ({"q": "%"}, []),
    ({"q": "ge"}, [CID]),
    ({"q": "age"}, [CID]),
    ({"q": "'"}, []),
    ({"q": "\uf8ff0"}, []),
    ({"q": "an", "room": "r"}, [ANA]),
]


@pytest.mark.usefixtures("log")
class TestFinding:
    async def test_everybody_of_the_app_the_oldest_first(self, http: httpx.AsyncClient) -> None:
        assert await ids(http) == [ANA, BOB, CID, DAN]
        assert await ids(http, app="b") == [STRANGER]
        assert await ids(http, app="c") == []

    async def test_by_what_they_are(self, http: httpx.AsyncClient) -> None:
        assert [(query, await ids(http, **query)) for query, _ in FILTERS] == FILTERS

    async def test_a_connection_with_all_that_is_known_of_it(self, http: httpx.AsyncClient) -> None:
        expected = {
            "connectionId": BOB,
            "userId": "bob",
            "deviceId": None,
            "metadata": {"conversationId": "c1", "age": 5, "vip": True, "tag": None},
            "availability": "inCall",
            "rooms": ["a/b", "r"],
            "dialect": "parley.v1",
            "address": "192.0.2.1",
            "userAgent": "UA",
            "connectedAt": "1970-01-01T00:00:01.002Z",
        }

        assert (await http.get(f"/v1/connections/{BOB}?app=a")).json() == expected
        assert (await http.get(f"/v1/connections/{BOB.replace('=', '%3D')}?app=a")).json() == expected
        assert (await http.get("/v1/connections?app=a&user=bob")).json() == {"items": [expected], "next": None}

    async def test_nobody(self, http: httpx.AsyncClient) -> None:
        for path in (STRANGER, id_of(9), "nonsense", "a%2Fb", "%20", "'"):
            assert code(await http.get(f"/v1/connections/{path}?app=a")) == (404, "not_found"), path

    async def test_whoever_has_gone_is_not_found(self, http: httpx.AsyncClient, log: Log, db: AsyncEngine) -> None:
        log.says(closed(BOB))
        await log.store(db)

        assert await ids(http) == [ANA, CID, DAN]
        assert await ids(http, room="r") == [ANA]
        assert code(await http.get(f"/v1/connections/{BOB}?app=a")) == (404, "not_found")

    async def test_a_device_that_connects_again_is_found_once(
        self, http: httpx.AsyncClient, log: Log, db: AsyncEngine
    ) -> None:
        new = id_of(7)
        log.says(opened(new, user_id="ana", device_id="phone"))
        await log.store(db)

        assert await ids(http, user="ana") == [DAN, new]
        assert await ids(http, device="phone") == [new]

    async def test_pages_hold_everybody_once(self, http: httpx.AsyncClient) -> None:
        seen: list[str] = []
        cursor: str | None = None
        while True:
            query: dict[str, Any] = {"app": "a", "limit": 3, **({"cursor": cursor} if cursor else {})}
            answer = (await http.get("/v1/connections", params=query)).json()
            seen += [item["connectionId"] for item in answer["items"]]
            cursor = answer["next"]
            if cursor is None:
                break
            assert len(answer["items"]) == 3

        assert seen == [ANA, BOB, CID, DAN]

    async def test_pages_of_the_newest_hold_everybody_once_the_other_way_round(self, http: httpx.AsyncClient) -> None:
        first = (await http.get("/v1/connections?app=a&order=newest&limit=3")).json()
        query = {"app": "a", "order": "newest", "cursor": first["next"]}
        rest = (await http.get("/v1/connections", params=query)).json()

        assert [item["connectionId"] for item in first["items"] + rest["items"]] == [DAN, CID, BOB, ANA]
        assert rest["next"] is None

    async def test_a_full_last_page_is_the_last(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/v1/connections?app=a&limit=4")).json()["next"] is None

    async def test_those_who_come_and_go_do_not_shift_the_pages(
        self, http: httpx.AsyncClient, log: Log, db: AsyncEngine
    ) -> None:
        first = (await http.get("/v1/connections?app=a&limit=2")).json()
        log.says(closed(ANA), closed(BOB), opened(id_of(8)))
        await log.store(db)

        rest = (await http.get("/v1/connections", params={"app": "a", "cursor": first["next"]})).json()

        assert [item["connectionId"] for item in rest["items"]] == [CID, DAN, id_of(8)]


IMPOSSIBLE = [
    "limit=0", "limit=501", "limit=ten", "cursor=", "cursor=nonsense", "cursor=WzFd", "availability=asleep",
    "usr=ana", "metadata=x", "metadata.a=1&metadata.a=2", "conversation=a&metadata.conversationId=b", "user=a%00",
    "q=", "q=" + "x" * 2000, "order=random", "user=" + "x" * 2000, "cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTksImEiXQ",
]  # fmt: skip


async def test_a_query_that_cannot_be_answered_is_refused(http: httpx.AsyncClient) -> None:
    for query in IMPOSSIBLE:
        assert code(await http.get(f"/v1/connections?{query}")) == (400, "bad_request"), query


async def test_a_metadata_value_that_postgresql_cannot_hold_comes_back_as_it_was(
    http: httpx.AsyncClient, db: AsyncEngine
) -> None:
    metadata = {"a\0": "b\0c", "\uf8ff": "\uf8ff0\uf8ff1", "s": "\\u0000", "deep": [{"\0": [None, 1.5, 2**70]}]}
    log = Log()
    log.says(opened(ANA, user_id="a\0b", metadata=metadata), in_room(ANA, "r\0"))
    await log.store(db)

    found = (await http.get("/v1/connections?app=a")).raise_for_status().json()["items"][0]

    assert (found["metadata"], found["userId"], found["rooms"]) == (metadata, "a\0b", ["r\0"])
    async with db.connect() as connection:
        loaded = await store_of(PARTITIONS).load(connection, HOME)
    assert [dict(table.rows()) for table in loaded.tables()] == [dict(table.rows()) for table in log.state.tables()]


class TestWhoMayLook:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/v1/connections"),
            ("GET", "/v1/connections/count"),
            ("GET", f"/v1/connections/{ANA}"),
            ("POST", f"/v1/connections/{ANA}/messages"),
            ("DELETE", f"/v1/connections/{ANA}"),
        ],
    )
    async def test_a_backend_alone(self, guarded: httpx.AsyncClient, method: str, path: str) -> None:
        person = mint(SECRET, expires_at=4_000_000_000, subject="ana", grants=["direct", "presence"])

        assert code(await guarded.request(method, path)) == (401, "unauthorized")
        assert code(await guarded.request(method, path, headers=bearer(person))) == (403, "not_allowed")

    async def test_a_backend_sees_its_own_app_alone(self, guarded: httpx.AsyncClient, log: Log) -> None:
        backend = bearer(mint(SECRET, expires_at=4_000_000_000, app="b", grants=["admin"]))

        answer = await guarded.get("/v1/connections", headers=backend)

        assert [item["connectionId"] for item in answer.json()["items"]] == [STRANGER]
        assert code(await guarded.get(f"/v1/connections/{ANA}", headers=backend)) == (404, "not_found")
        assert code(await guarded.get("/v1/connections?app=a", headers=backend)) == (401, "unauthorized")


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
