"""Which pages may open sockets."""

import pytest

from parley.gateway.origins import Origins


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://localhost:5173", "http://127.0.0.1:8080", "https://[::1]:1", "http://app.localhost"],
)
def test_development_admits_loopback_pages(origin: str | None) -> None:
    assert Origins((), development=True).admits(origin, "localhost:8080")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://["]
)
def test_development_admits_no_other_page(origin: str) -> None:
    assert not Origins((), development=True).admits(origin, "localhost:8080")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "call.example"),
        ("https://call.example", "call.example"),
        ("https://CALL.example", "call.example"),
        ("http://call.example:8080", "call.example:8080"),
        ("https://[2001:db8::1]", "[2001:db8::1]"),
        ("https://app.example", "call.example"),
        ("https://app.example", "call.example:8080"),
    ],
)
def test_production_admits_the_host_itself_and_the_list(origin: str | None, host: str) -> None:
    assert Origins(("https://app.example/",), development=False).admits(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("null", "call.example"),
        ("http://localhost", "call.example"),
        ("https://call.example.evil.example", "call.example"),
        ("https://call.example:444", "call.example"),
        ("https://call.example", "call.example:8080"),
        ("http://app.example", "call.example"),
        ("file://", ""),
    ],
)
def test_production_admits_no_other_page(origin: str, host: str) -> None:
    assert not Origins(("https://app.example",), development=False).admits(origin, host)


def test_a_star_admits_every_page() -> None:
    assert Origins(("*",), development=False).admits("https://anywhere.example", "call.example")
