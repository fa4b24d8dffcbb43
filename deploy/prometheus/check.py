"""
Lets promtool read every query of rules and dashboards, and fires each alert on time series: ``make rules-test``.

promtool comes with Prometheus (Debian: `apt-get install prometheus`); no package of PyPI or npm has it, so this is not
part of `make test`.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import yaml

from deploy.grafana.boards import BOARDS, Lines, Number

HERE: Final = Path(__file__).parent


def shown() -> str:
    """Return the queries of all dashboards as rules, which promtool can read."""
    queries = [
        query.replace("$__rate_interval", "5m").replace("$__range", "1h")
        for board in BOARDS
        for row in board.rows
        for panel in row.panels
        for query in _queries(panel)
    ]
    rules = [{"record": f"shown:{number}", "expr": query} for number, query in enumerate(queries)]
    return yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]})


def _queries(panel: object) -> list[str]:
    match panel:
        case Number(query=query):
            return [query]
        case Lines(lines=lines):
            return [query for query, _ in lines]
    return []


def main() -> int:
    """Check, and say what promtool says."""
    promtool = shutil.which("promtool")
    if promtool is None:
        sys.stderr.write("promtool is missing: install Prometheus (Debian: `apt-get install prometheus`).\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        dashboards = Path(folder, "dashboards.yaml")
        dashboards.write_text(shown())
        commands = (
            ("check", "rules", str(dashboards), *map(str, sorted(HERE.glob("*.yaml")))),
            ("test", "rules", *map(str, sorted((HERE / "tests").glob("*.yaml")))),
        )
        return max(
            subprocess.run([promtool, *command], check=False).returncode  # noqa: S603 - files of ours
            for command in commands
        )


if __name__ == "__main__":
    sys.exit(main())
