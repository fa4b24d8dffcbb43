"""``parley token``: what it signs is what was asked for."""

import time
from pathlib import Path

import pytest

from parley.cli.problem import Problem
from parley.cli.token import seconds_of, token
from parley.kit.identity import Identity
from parley.kit.tokens import Tokens

SECRET = "a secret that is long enough for HS256, which is 32 bytes"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_TOKEN_SECRET", SECRET)


async def identify(minted: str) -> Identity:
    return await Tokens(secret=SECRET).identify(minted)


async def test_a_token_without_wishes_allows_what_a_person_needs() -> None:
    identity = await identify(token("ana", None, [], [], "1h"))

    assert (identity.subject, identity.app) == ("ana", "default")
    assert identity.may("any room", "join")
    assert identity.may("any room", "send")
    assert identity.direct
    assert identity.presence
    assert not identity.admin
    assert not identity.broadcast


async def test_a_token_with_wishes_allows_nothing_else() -> None:
    identity = await identify(token("ana", "shop", ["team-*=join", "lobby"], ["broadcast"], "1h"))

    assert identity.app == "shop"
    assert identity.may("team-1", "join")
    assert not identity.may("team-1", "send")
    assert identity.may("lobby", "history")
    assert not identity.may("attic", "join")
    assert identity.broadcast
    assert not identity.direct


async def test_a_token_holds_for_as_long_as_asked() -> None:
    identity = await identify(token("ana", None, [], [], "30m"))

    assert identity.expires_at
    assert identity.expires_at / 1000 == pytest.approx(time.time() + 1800, abs=5)


@pytest.mark.parametrize(("lifetime", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604800)])
def test_lifetimes_have_units(lifetime: str, seconds: int) -> None:
    assert seconds_of(lifetime) == seconds


@pytest.mark.parametrize("lifetime", ["", "1", "h", "0h", "-1h", "1w", "1.5h", "9999999s"])
def test_a_lifetime_that_is_none_is_refused(lifetime: str) -> None:
    with pytest.raises(Problem, match="--for takes a number and a unit"):
        seconds_of(lifetime)


@pytest.mark.parametrize("room", ["lobby=fly", "=join", "lobby="])
def test_a_room_that_means_nothing_is_refused(room: str) -> None:
    with pytest.raises(Problem, match="--room takes a pattern"):
        token("ana", None, [room], [], "1h")


def test_an_app_that_cannot_be_is_refused() -> None:
    with pytest.raises(Problem, match="There is no app of that name"):
        token("ana", "a.b", [], [], "1h")


def test_an_instance_lends_its_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PARLEY_TOKEN_SECRET", "")
    monkeypatch.setenv("PARLEY_DATA", str(tmp_path))

    token("ana", None, [], [], "1h")

    assert (tmp_path / "token.secret").stat().st_mode & 0o777 == 0o600


def test_without_an_instance_and_a_secret_there_is_no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PARLEY_TOKEN_SECRET", "")
    monkeypatch.setenv("PARLEY_DATA", str(tmp_path / "nowhere"))

    with pytest.raises(Problem, match="There is no secret to sign with: set PARLEY_TOKEN_SECRET"):
        token("ana", None, [], [], "1h")
