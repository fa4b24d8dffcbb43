"""A hundred thousand frames for each decoder: seeds, spoilt a little or a lot."""

import random

import pytest
from fuzz.decoders import DECODERS, seeds, target
from fuzz.spoilt import spoilt
from hypothesis import given, settings
from hypothesis import strategies as st

EXAMPLES = 100
FRAMES = 1000
"""Of one example, which costs Hypothesis much more than a frame costs a decoder."""


@pytest.mark.parametrize("decoder", DECODERS)
def test_no_frame_breaks_a_decoder(decoder: str) -> None:
    attempt, kept = target(decoder), seeds(decoder)

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.integers(0, 1 << 64))
    def frames(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(FRAMES):
            frame = spoilt(dice, kept)
            try:
                attempt(frame)
            except Exception as error:
                raise AssertionError(f"this breaks it: {frame!r}") from error

    frames()


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_clients_write_is_understood_and_kept_as_seeds(decoder: str) -> None:
    assert len(seeds(decoder)) > 5
    for frame in seeds(decoder):
        target(decoder)(frame)
