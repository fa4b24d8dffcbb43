"""What a request must say to become a WebSocket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sockets import handshake

from parley.gateway.head import BadHead, parse


def head(path: str = "/", **headers: str) -> bytes:
    return handshake(path, **headers).removesuffix(b"\r\n\r\n")


def status_of(raw: bytes) -> int:
    with pytest.raises(BadHead) as refused:
        parse(raw)
    return refused.value.status


def test_a_handshake_is_taken_apart() -> None:
    request = parse(head("/prod/?a=1&b=%20", Sec_WebSocket_Protocol="parley.v1,  bearer.x "), "192.0.2.1")

    assert (request.path, request.query, request.peer) == ("/prod/", "a=1&b=%20", "192.0.2.1")
    assert request.subprotocols == ["parley.v1", "bearer.x"]


def test_firefox_says_keep_alive_as_well() -> None:
    assert parse(head(Connection="keep-alive, Upgrade"))


def test_a_header_said_twice_is_one_list() -> None:
    raw = head() + b"\r\nSec-WebSocket-Protocol: a\r\nsec-websocket-protocol: b"

    assert parse(raw).subprotocols == ["a", "b"]


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: a",
        b"POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade",
        head(Upgrade="h2c"),
        head(Sec_WebSocket_Version="8"),
    ],
)
def test_whoever_does_not_ask_for_websocket_is_told_to(raw: bytes) -> None:
    assert status_of(raw) == 426


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET /\r\nHost: a",
        b"GET / HTTP/2\r\nHost: a",
        b"GET /a b HTTP/1.1",
        head(Host=""),
        head(Connection="close"),
        head(Sec_WebSocket_Key="short"),
        head(Sec_WebSocket_Key=""),
        head(Content_Length="5"),
        head(Transfer_Encoding="chunked"),
        head() + b"\r\nHost: another",
        head() + b"\r\n folded: line",
        head() + b"\r\nno colon",
        head() + b"\r\nspace before : colon",
        head() + b"\r\nX: \x00",
    ],
)
def test_a_malformed_handshake_is_a_bad_request(raw: bytes) -> None:
    assert status_of(raw) == 400


def test_too_many_headers_are_too_many() -> None:
    assert status_of(head() + b"".join(b"\r\nX-%d: 1" % i for i in range(200))) == 431


@given(st.binary(max_size=300))
def test_no_bytes_do_worse_than_be_refused(raw: bytes) -> None:
    try:
        parse(raw)
    except BadHead as refused:
        assert 400 <= refused.status < 500  # noqa: PT017 - most bytes are refused, a few may not be
