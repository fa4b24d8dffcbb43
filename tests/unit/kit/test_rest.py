"""What is the same in every service's REST."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI, Query, Request
from sqlalchemy.exc import DBAPIError

from parley.kit import cursors
from parley.kit.requests import MAX_BODY_BYTES
from parley.kit.rest import Caller, Limit, Moment, Page, Shape, api, keyed, require
from parley.kit.tokens import Tokens, mint
from parley.protocol.codes import ErrorCode, Refusal

SECRET = "a secret that is long enough for HS256"
NOW = 1_800_000_000


class Thing(Shape):
    room_name: str


def things(*, development: bool) -> FastAPI:
    app = api("Things", Tokens(secret=SECRET, development=development, now=lambda: NOW), development=development)

    @app.get("/v1/rooms/{room:name}/things")
    async def things_of(
        room: str, caller: Caller, limit: Limit = 100, since: Annotated[Moment, Query()] = 0
    ) -> Page[Thing]:
        return Page(items=[Thing(room_name=room)], next=str(since) if since else None)

    @app.get("/v1/admin")
    async def admin(caller: Caller) -> dict[str, Any]:
        require(caller.admin, "admin")
        return {"app": caller.app, "subject": caller.subject}

    @app.get("/v1/colours", openapi_extra=keyed("hue.<key>", "A hue."))
    async def colours(request: Request) -> dict[str, str]:
        return dict(request.query_params)

    @app.post("/v1/things")
    async def post(thing: Thing) -> Thing:
        return thing

    @app.get("/v1/refused")
    async def refused(code: ErrorCode) -> None:
        raise Refusal(code, "No.")

    @app.get("/v1/crash")
    async def crash() -> None:
        raise ZeroDivisionError

    @app.get("/v1/database")
    async def database(kind: str) -> None:
        if kind == "away":
            raise ConnectionRefusedError
        raise DBAPIError("select", {}, Exception("a typo"))

    return app


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(things(development=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
        yield client


@pytest.fixture
async def guarded() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(things(development=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
        yield client


def code(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["message"].endswith(".")
    return answer.status_code, body["code"]


class TestNamesInPaths:
    @pytest.mark.parametrize(
        ("segment", "name"),
        [
            ("r1", "r1"), ("a%2Fb", "a/b"), ("a%2fb", "a/b"), ("a%252Fb", "a%2Fb"), ("%F0%9F%8E%A5", "🎥"),
            ("a.b*>", "a.b*>"),
            ("%2E%2E%2Fetc", "../etc"), ("a%20b", "a b"), ("a+b", "a+b"), ("%0A", "\n"), ("a=%3D", "a=="),
            ("%3F%23", "?#"),
        ],
    )  # fmt: skip
    async def test_a_name_is_one_segment_whatever_it_holds(
        self, http: httpx.AsyncClient, segment: str, name: str
    ) -> None:
        answer = await http.get(httpx.URL("http://things", raw_path=f"/v1/rooms/{segment}/things".encode()))

        assert answer.json() == {"items": [{"roomName": name}], "next": None}

    @pytest.mark.parametrize("path", ["/v1/rooms/%00/things", "/v1/rooms/%FF/things", "/v1/rooms/r/things?x=a%00"])
    async def test_what_no_name_can_hold_is_refused(self, http: httpx.AsyncClient, path: str) -> None:
        answer = await http.get(httpx.URL("http://things", raw_path=path.encode()))

        assert code(answer) == (400, "bad_request")

    async def test_a_path_may_be_spelled_with_needless_escapes(self, http: httpx.AsyncClient) -> None:
        answer = await http.get(httpx.URL("http://things", raw_path=b"/v1/%72ooms/r/things"))

        assert answer.status_code == 200


class TestRefusals:
    @pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=-1", "limit=x", "limit=", "limit=1e9"])
    async def test_a_limit_out_of_range(self, http: httpx.AsyncClient, query: str) -> None:
        assert code(await http.get(f"/v1/rooms/r/things?{query}")) == (400, "bad_request")

    async def test_a_parameter_that_a_route_does_not_have(self, http: httpx.AsyncClient) -> None:
        answer = await http.get("/v1/rooms/r/things?limit=5&sicne=2026-01-31T12:00:00Z")

        assert code(answer) == (400, "bad_request")
        assert answer.json()["message"] == (
            "There is no parameter 'sicne'; those that there are: app, limit, since, token."
        )
        answer = await http.post("/v1/things?limit=5", json={"roomName": "r"})
        assert answer.json()["message"] == "There is no parameter 'limit'; there are none here."

    async def test_a_parameter_that_holds_a_key_of_the_caller_s(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/v1/colours?hue.red=1&hue.=2")).json() == {"hue.red": "1", "hue.": "2"}
        assert code(await http.get("/v1/colours?hue=1")) == (400, "bad_request")

    @pytest.mark.parametrize(
        "time", ["yesterday", "2026-01-31", "2026-13-01T00:00:00Z", "2026-01-31T12:00:00", "", "0"]
    )
    async def test_a_time_that_is_none(self, http: httpx.AsyncClient, time: str) -> None:
        assert code(await http.get("/v1/rooms/r/things", params={"since": time})) == (400, "bad_request")

    @pytest.mark.parametrize("time", ["1970-01-01T00:00:01Z", "1970-01-01T01:00:01.000+01:00"])
    async def test_a_time_with_a_zone(self, http: httpx.AsyncClient, time: str) -> None:
        assert (await http.get("/v1/rooms/r/things", params={"since": time})).json()["next"] == "1000"
        assert (await http.get(f"/v1/rooms/r/things?since={time}")).json()["next"] == "1000", "the plus not encoded"

    @pytest.mark.parametrize("path", ["/", "/v1/nothing", "/v1/rooms//things", "/v1/rooms/a/b/things", "/v1/admin/"])
    async def test_a_path_where_nothing_is(self, http: httpx.AsyncClient, path: str) -> None:
        assert code(await http.get(path)) == (404, "not_found")

    async def test_a_method_that_a_path_does_not_have(self, http: httpx.AsyncClient) -> None:
        answer = await http.delete("/v1/admin")

        assert code(answer) == (405, "bad_request")
        assert answer.headers["allow"] == "GET"

    @pytest.mark.parametrize(
        "body", [b"", b"{", b"[]", b"null", b'{"roomName": 1}', b'{"roomName": "r", "more": 1}', b"\xff"]
    )
    async def test_a_body_of_another_shape(self, http: httpx.AsyncClient, body: bytes) -> None:
        answer = await http.post("/v1/things", content=body, headers={"content-type": "application/json"})

        assert code(answer) == (400, "bad_request")

    async def test_a_body_that_would_fill_memory(self, http: httpx.AsyncClient) -> None:
        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield b" " * 65536

        assert code(await http.post("/v1/things", content=b" " * (MAX_BODY_BYTES + 1))) == (413, "too_large")
        assert code(await http.post("/v1/things", content=endless())) == (413, "too_large")

    async def test_who_says_too_much_is_heard_out_before_the_answer(self, http: httpx.AsyncClient) -> None:
        """Who is still speaking when the connection is closed would not get to read it."""
        said = 0

        async def long() -> AsyncIterator[bytes]:
            nonlocal said
            for _ in range(32):
                yield b" " * 65536
                said += 65536

        assert code(await http.post("/v1/things", content=long())) == (413, "too_large")
        assert said == 32 * 65536

    @pytest.mark.parametrize("each", list(ErrorCode))
    async def test_each_code_has_a_status(self, http: httpx.AsyncClient, each: ErrorCode) -> None:
        answer = await http.get("/v1/refused", params={"code": each})

        assert answer.json() == {"code": each, "message": "No."}
        assert answer.status_code >= 400
        assert ("retry-after" in answer.headers) == (each in ("rate_limited", "degraded"))

    async def test_a_crash_is_internal_and_says_no_more(self, http: httpx.AsyncClient) -> None:
        assert code(await http.get("/v1/crash")) == (500, "internal")

    async def test_a_database_that_is_away_is_told_from_a_wrong_statement(self, http: httpx.AsyncClient) -> None:
        assert code(await http.get("/v1/database?kind=away")) == (503, "degraded")
        assert code(await http.get("/v1/database?kind=wrong")) == (500, "internal")


class TestCallers:
    async def test_without_a_token_nothing_is_said(self, guarded: httpx.AsyncClient) -> None:
        answer = await guarded.get("/v1/admin")

        assert code(answer) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_a_token_in_the_header_or_in_the_query(self, guarded: httpx.AsyncClient) -> None:
        token = mint(SECRET, expires_at=NOW + 9, subject="ana", app="shop", grants=["admin"])
        expected = {"app": "shop", "subject": "ana"}

        assert (await guarded.get("/v1/admin", headers={"authorization": f"Bearer {token}"})).json() == expected
        assert (await guarded.get("/v1/admin", params={"token": token})).json() == expected
        assert (await guarded.get("/v1/admin", params={"token": token, "app": "shop"})).json() == expected
        assert code(await guarded.get("/v1/admin", params={"token": token, "app": "bank"})) == (401, "unauthorized")

    async def test_an_expired_token_says_so(self, guarded: httpx.AsyncClient) -> None:
        token = mint(SECRET, expires_at=NOW)

        assert code(await guarded.get("/v1/admin", params={"token": token})) == (401, "token_expired")

    async def test_another_scheme_is_refused(self, http: httpx.AsyncClient) -> None:
        assert code(await http.get("/v1/admin", auth=("ana", "secret"))) == (401, "unauthorized")

    async def test_what_a_token_does_not_grant_is_refused(self, guarded: httpx.AsyncClient) -> None:
        token = mint(SECRET, expires_at=NOW + 9)

        assert code(await guarded.get("/v1/admin", params={"token": token})) == (403, "not_allowed")

    async def test_development_mode_needs_none(self, http: httpx.AsyncClient) -> None:
        assert (await http.get("/v1/admin")).json() == {"app": "default", "subject": None}
        assert (await http.get("/v1/admin?app=shop")).json() == {"app": "shop", "subject": None}
        assert code(await http.get("/v1/admin", params={"app": "a.>"})) == (404, "not_found")

    async def test_in_development_mode_pages_from_elsewhere_are_refused(self, http: httpx.AsyncClient) -> None:
        """A page anywhere can make the browser of a developer ask this machine."""
        for origin in ("http://localhost:8080", "http://127.0.0.1:3000", "http://[::1]:1", "null"):
            assert (await http.get("/v1/admin", headers={"origin": origin})).status_code == 200
        for origin in ("https://example.org", "http://localhost.example.org", "http://127.0.0.1.example.org"):
            assert code(await http.get("/v1/admin", headers={"origin": origin})) == (403, "not_allowed")

    async def test_in_production_any_page_may_ask_with_a_token(self, guarded: httpx.AsyncClient) -> None:
        headers = {
            "origin": "https://example.org",
            "access-control-request-method": "DELETE",
            "access-control-request-headers": "authorization",
        }
        answer = await guarded.options("/v1/admin", headers=headers)

        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
        assert (await guarded.get("/v1/admin", headers=headers)).headers["access-control-allow-origin"] == "*"


class TestCursors:
    def test_a_cursor_brings_its_place_back(self) -> None:
        for text in ("é/\n", "\\u0000", "\\\\u0000"):
            assert cursors.place(cursors.cursor((1, text)), tuple[int, str]) == (1, text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "!",
            "é",
            "AAAA",
            "W10",
            "x" * 10_000,
            cursors.cursor([1, "\0"]),
            cursors.cursor([1, "\\\0"]),
            cursors.cursor({}),
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(Refusal) as refusal:
            cursors.place(text, tuple[int, str])
        assert refusal.value.code == "bad_request"


async def test_the_documentation_names_paths_as_people_do(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()

    assert "/v1/rooms/{room}/things" in document["paths"]
    assert (await http.get("/docs")).status_code == 200


async def test_whoever_called_sees_the_route_that_was_found() -> None:
    """The span of a request is named after its route."""
    app = things(development=True)
    seen: list[str] = []

    async def calling(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)
        seen.append(scope["route"].path_format)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(calling), base_url="http://things") as client:
        await client.get("/v1/rooms/a%2Fb/things")

    assert seen == ["/v1/rooms/{room}/things"]
