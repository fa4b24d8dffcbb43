"""Look for frames that break a decoder, led by what they make it do: ``python -m fuzz DECODER [SECONDS]``.

New frames of interest are kept in .parley/fuzz for the next time; one that breaks the decoder is written beside the
seeds, to stay there when it is mended.
"""

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["parley.protocol"]):
    from fuzz.decoders import SEEDS, seeds, target
from fuzz.spoilt import spoilt


def main(decoder: str, seconds: str = "600") -> None:
    """Fuzz one decoder."""
    found = Path(".parley", "fuzz", decoder)
    found.mkdir(parents=True, exist_ok=True)
    kept = SEEDS / decoder
    whole = seeds(decoder)

    def mutator(data: bytes, most: int, seed: int) -> bytes:
        """Turn a seed into another frame as often as bytes into other bytes: what is no JSON gets nowhere."""
        return spoilt(random.Random(seed), [*whole, data])[:most] if seed % 2 else bytes(atheris.Mutate(data, most))

    limits = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-print_final_stats=1"]
    atheris.Setup(
        [sys.argv[0], *limits, f"-artifact_prefix={kept}/", str(found), str(kept)],
        target(decoder),
        custom_mutator=mutator,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
