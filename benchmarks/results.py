"""What a run found, as it is kept."""

from pathlib import Path
from statistics import median

import msgspec

from benchmarks.machine import Machine

FOLDER = Path(__file__).parent / "results"


class Figure(msgspec.Struct, frozen=True, rename="camel"):
    """One system at one work."""

    item: str
    system: str
    rounds: list[dict[str, float]]
    processor_microseconds: dict[str, float]
    """By process, per message; work between messages (leases, checkpoints, history's inserts) included."""
    load: list[float]
    """The machine's load average before each round; ours is part of it."""

    def median(self, figure: str) -> float:
        return median(each[figure] for each in self.rounds)


class Result(msgspec.Struct, frozen=True, rename="camel"):
    began: str
    seconds: float
    quick: bool
    machine: Machine
    systems: dict[str, str]
    """By name in the figures: its title."""
    figures: list[Figure]

    def find(self, item: str, system: str) -> Figure | None:
        return next((each for each in self.figures if (each.item, each.system) == (item, system)), None)

    def keep(self) -> Path:
        """Write it down; return where."""
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{self.began.replace(':', '')}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        return path
