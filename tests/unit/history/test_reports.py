"""What browsers report of their media, as the history service counts it."""

from parley.history.metrics import reported
from parley.history.records import Quality, Report
from parley.kit.metrics import REGISTRY


def report(state: str, local: str | None, remote: str | None) -> Report:
    return Report("app", "call", "", "ana", "bob", state, 0, 0, 0, 0, None, None, local, remote, None, None)


def test_a_path_with_turn_on_either_side_is_relayed() -> None:
    reports = (
        report("connected", "host", "srflx"),
        report("connected", "relay", "host"),
        report("connected", "host", "relay"),
        report("failed", None, None),
    )

    def counted(state: str, path: str) -> float:
        labels = {"state": state, "path": path}
        return REGISTRY.get_sample_value("parley_history_reports_total", labels) or 0.0

    paths = (("connected", "direct"), ("connected", "relay"), ("failed", "unknown"))
    before = [counted(*path) for path in paths]
    reported(Quality(reports, ()))

    assert [counted(*path) - was for path, was in zip(paths, before, strict=True)] == [1, 2, 1]
