"""The transcripts of y-webrtc and PeerJS, against their own servers: we say the same, but where we say that we do not.

What differs on purpose is in the transcripts, and in docs/reference/differences.md.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.reference import Reference
from support.transcript import Difference, Transcript, transcripts
from websockets.exceptions import ConnectionClosed, InvalidHandshake

FILES = Path(__file__).with_name("transcripts")
DIALECTS = ("peerjs", "y-webrtc")
ALL = [transcript for name in DIALECTS for transcript in transcripts((FILES / f"{name}.yaml").read_text())]


@pytest.fixture(scope="module")
def references() -> Iterator[dict[str, Reference]]:
    found = {name: Reference(name) for name in DIALECTS}
    yield found
    for reference in found.values():
        reference.stop()


def named(*, differs: bool) -> list[object]:
    found = [transcript for transcript in ALL if bool(transcript.differs) == differs]
    return [pytest.param(transcript, id=f"{transcript.dialect}: {transcript.name}") for transcript in found]


@pytest.mark.conformance
@pytest.mark.parametrize("transcript", named(differs=False))
async def test_the_reference_says_the_same(references: dict[str, Reference], transcript: Transcript) -> None:
    await transcript.play(await references[transcript.dialect].url())


@pytest.mark.conformance
@pytest.mark.parametrize("transcript", named(differs=True))
async def test_the_reference_differs_where_we_say_so(references: dict[str, Reference], transcript: Transcript) -> None:
    with pytest.raises((Difference, ConnectionClosed, InvalidHandshake, OSError)):
        await transcript.play(await references[transcript.dialect].url())


def test_every_difference_is_on_its_page() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "reference" / "differences.md").read_text().split())

    assert [transcript.differs for transcript in ALL if transcript.differs and transcript.differs not in page] == []
