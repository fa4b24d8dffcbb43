"""The life of a part, whatever it is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from support.eventually import eventually

from parley.cli import part
from parley.cli.embedded import Program
from parley.cli.part import Part, Spec
from parley.cli.problem import Problem

Make = Callable[..., Part]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Give a function that makes a part of a shell script; the part is killed at the end."""
    made: list[Part] = []

    def make(script: str, missing: str | None = None) -> Part:
        async def check(_pid: int) -> str | None:
            return missing

        def program() -> Program:
            return Program("rooms", ("/bin/sh", "-c", script), tmp_path / "log")

        made.append(Part(Spec("rooms", 0, program, check), lambda: None))
        return made[-1]

    yield make
    for each in made:
        await each.kill()


async def test_a_part_that_never_gets_ready_is_said_with_what_is_missing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "FIRST_READY_SECONDS", 0.1)

    with pytest.raises(Problem, match=r"rooms-0 is not ready after 0\.1 s: NATS is away \(its log: .*log\)"):
        await make("sleep 60", missing="NATS is away").live()


async def test_a_part_that_ends_before_it_is_ready_is_said_in_its_own_words(make: Make) -> None:
    with pytest.raises(Problem, match="rooms-0 cannot start: no room at the inn"):
        await make("echo no room at the inn; exit 3", missing="it").live()


async def test_a_part_that_ends_without_a_word_is_said_with_its_code(make: Make) -> None:
    with pytest.raises(Problem, match="rooms-0 cannot start: ended with code 3"):
        await make("exit 3", missing="it").live()


async def test_a_program_that_is_not_there_is_said(make: Make, tmp_path: Path) -> None:
    lost = Part(
        Spec("rooms", 0, lambda: Program("rooms", ("/no/such/program",), tmp_path / "log"), make("").spec.check),
        lambda: None,
    )

    with pytest.raises(Problem, match=r"rooms cannot start: No such file or directory \(/no/such/program\)\."):
        await lost.live()


@pytest.mark.parametrize(("calm", "delays"), [(30, ["0.1", "0.2", "0.3", "0.3"]), (0, ["0.1", "0.1", "0.1", "0.1"])])
async def test_a_part_is_started_again_ever_more_slowly_unless_it_ran_calmly(
    make: Make, monkeypatch: pytest.MonkeyPatch, calm: float, delays: list[str]
) -> None:
    monkeypatch.setattr(part, "CALM_SECONDS", calm)
    monkeypatch.setattr(part, "BACKOFF_SECONDS", (0.1, 0.2, 0.3))
    said: list[str] = []
    flighty = make("sleep 0.3")
    flighty.changed = lambda: said.append(flighty.status)
    living = asyncio.create_task(flighty.live())

    def found() -> list[str]:
        return [words.split()[-5] for words in said if "starts again" in words]

    await eventually(lambda: None if len(found()) >= len(delays) else f"only {said}")

    living.cancel()
    assert found()[: len(delays)] == delays


async def test_a_part_that_does_not_stop_when_asked_is_ended(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(part, "STOP_SECONDS", 0.2)
    stubborn = make("trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    living = asyncio.create_task(stubborn.live())
    await eventually(
        lambda: None if (tmp_path / "log").exists() and "deaf" in (tmp_path / "log").read_text() else "it still listens"
    )
    living.cancel()

    await stubborn.stop()

    assert stubborn.process
    assert stubborn.process.exit_code == -9
