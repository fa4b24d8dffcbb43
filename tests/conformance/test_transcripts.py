"""Every transcript, against a real Parley."""

from pathlib import Path

import pytest
from support.instance import Instance
from support.transcript import Difference, Stage, Transcript, transcripts

FILES = sorted(Path(__file__).with_name("transcripts").glob("*.yaml"))
ALL = [
    pytest.param(transcript, id=f"{file.stem}: {transcript.name}")
    for file in FILES
    for transcript in transcripts(file.read_text())
]


@pytest.mark.parametrize("transcript", ALL)
async def test_transcript(parley: Instance, transcript: Transcript) -> None:
    await transcript.play(parley.url)


WRONG = [
    {"ana": {"see": {"type": "signal", "from": "$bob", "data": 2}}},
    {"ana": {"see": {"type": "signal", "from": "$ana", "data": 1}}},
    {"ana": {"see": {"type": "signal", "from": "$bob"}}},
    {"ana": {"see": {"type": "signal", "from": "$bob", "data": 1, "more": "..."}}},
    {"ana": {"see": {"type": "signal", "from": "$bob", "data": True}}},
    {"ana": {"see": "nothing"}},
    {"ana": {"sees": [{"type": "ok", "ref": "..."}]}},
    {"ana": {"closed": 1000}},
]


def wrong(step: dict[str, object]) -> Transcript:
    send = {"bob": {"send": {"action": "signal", "ref": "b", "to": "$ana", "data": 1}}}
    return Transcript({"name": "wrong", "steps": [{"ana": {"see": "nothing"}}, send, step]})


@pytest.mark.parametrize("step", WRONG)
async def test_a_transcript_that_says_something_else_fails(parley: Instance, step: dict[str, object]) -> None:
    """The runner can tell; otherwise every transcript would prove nothing."""
    with pytest.raises(Difference):
        await wrong(step).play(parley.url)


async def test_a_transcript_that_says_more_fails(parley: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("support.transcript.PATIENCE_SECONDS", 2.0)
    with pytest.raises(Difference):
        await wrong({"bob": {"sees": [{"type": "ok", "ref": "b"}, {"type": "ok", "ref": "c"}]}}).play(parley.url)


def test_a_transcript_with_a_word_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="stepps"):
        Transcript({"name": "x", "steps": [], "stepps": []})


def test_every_verb_is_one_of_the_stage() -> None:
    verbs = {verb for file in FILES for each in transcripts(file.read_text()) for _, verb, _ in each.steps}

    assert all(hasattr(Stage, verb) for verb in verbs)
