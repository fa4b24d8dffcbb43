"""What was said, and what became of it."""

import time

from benchmarks.wires import stamp, stamped


class Path:
    """One way of one speaker, to certain listeners: what goes there is numbered, and has an order."""

    def __init__(self, index: int, listeners: int) -> None:
        self.index = index
        self.said = 0
        self.refused: set[int] = set()
        self.ears = [Ear() for _ in range(listeners)]

    def on_the_way(self) -> int:
        """Return how many have not been heard by everybody, and were not refused."""
        return sum(ear.not_heard(self.said, self.refused) for ear in self.ears)

    def heard_though_refused(self) -> int:
        return sum(ear.has_heard(number) for ear in self.ears for number in self.refused)


class Ear:
    """What one listener has heard of a path."""

    def __init__(self) -> None:
        self.due = 0
        """The number that comes next."""
        self.skipped: set[int] = set()
        """Lower numbers that have not come."""

    def hear(self, number: int) -> str:
        """Return what is wrong about it: "", "doubled" or "reordered"."""
        if number >= self.due:
            self.skipped.update(range(self.due, number))
            self.due = number + 1
            return ""
        if number in self.skipped:
            self.skipped.remove(number)
            return "reordered"
        return "doubled"

    def has_heard(self, number: int) -> bool:
        return number < self.due and number not in self.skipped

    def not_heard(self, said: int, refused: set[int]) -> int:
        return len(self.skipped - refused) + said - self.due - sum(number >= self.due for number in refused)


class Ledger:
    """All paths. *slowest* is the longest that a message was on its way, in seconds, since last set to 0."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.acknowledged = self.refused = self.doubled = self.reordered = 0
        self.slowest = 0.0

    def path(self, listeners: int) -> Path:
        """Return a new one."""
        path = Path(len(self.paths), listeners)
        self.paths.append(path)
        return path

    def say(self, path: Path) -> tuple[int, str]:
        """Return the number of what is said next, and its stamp."""
        number, path.said = path.said, path.said + 1
        return number, stamp(time.monotonic_ns(), path.index, number)

    def answer(self, path: Path, number: int, *, accepted: bool) -> None:
        """Note that the speaker has been told what became of it."""
        if accepted:
            self.acknowledged += 1
        else:
            self.refused += 1
            path.refused.add(number)

    def hear(self, text: bytes, at: int, listener: int) -> None:
        """Note that a path's listener has heard the message with the stamp at *at*."""
        sent, index, number = stamped(text, at)
        wrong = self.paths[index].ears[listener].hear(number)
        self.doubled += wrong == "doubled"
        self.reordered += wrong == "reordered"
        self.slowest = max(self.slowest, (time.monotonic_ns() - sent) / 1e9)

    @property
    def said(self) -> int:
        return sum(path.said for path in self.paths)

    @property
    def unanswered(self) -> int:
        return self.said - self.acknowledged - self.refused

    @property
    def on_the_way(self) -> int:
        return sum(path.on_the_way() for path in self.paths)

    def sums(self) -> dict[str, float]:
        """Return the figures, once there is nothing more to wait for."""
        lost, unanswered = self.on_the_way, self.unanswered
        refuted = sum(path.heard_though_refused() for path in self.paths)
        return {
            "messages": self.said,
            "refused": self.refused,
            "heard_though_refused": refuted,
            "lost": lost,
            "unanswered": unanswered,
            "doubled": self.doubled,
            "reordered": self.reordered,
            "wrong": lost + unanswered + refuted + self.doubled + self.reordered,
        }
