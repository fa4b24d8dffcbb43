"""
Writes the dashboards: ``python -m deploy.grafana.write``, which is `make dashboards`.

What is on them is in boards.py, a line or two a panel. This file knows what Grafana wants to be told besides, so that
all panels look alike: the schema is that of Grafana 10 and newer.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from deploy.grafana.boards import BOARDS, WIDTH, Board, Lines, Number, Row, Shown, Text, Traces, Variable

HERE: Final = Path(__file__).parent

SCHEMA: Final = 39
"""The version of the schema that Grafana 10.4 writes; newer ones read it and bring it to theirs."""

_SOURCE: Final = {"type": "prometheus", "uid": "${source}"}
_TRACES: Final = {"type": "tempo", "uid": "${traces}"}

_SHARED: Final = (
    Variable("namespace", "Namespace", "label_values(parley_ready, namespace)"),
    Variable("instance", "Instance", 'label_values(parley_ready{namespace=~"$namespace"}, instance)'),
)
"""On every dashboard. `.*` fits also what has no such label."""


def dashboard(board: Board) -> dict[str, Any]:
    """Return a dashboard as Grafana takes it."""
    return {
        "uid": f"parley-{board.name}",
        "title": f"Parley / {board.title}",
        "description": board.about,
        "tags": ["parley"],
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "schemaVersion": SCHEMA,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "annotations": {"list": [_firing()]},
        "links": [_others(), *(_link(title, url) for title, url in board.links)],
        "templating": {"list": [_datasource("source", "Prometheus", "prometheus"), *_variables(board)]},
        "panels": list(_panels(board)),
    }


def _firing() -> dict[str, Any]:
    """Alerts of ours as marks in every chart."""
    return {
        "name": "Alerts",
        "enable": True,
        "datasource": _SOURCE,
        "expr": 'ALERTS{alertname=~"Parley.*",alertstate="firing",namespace=~"$namespace"}',
        "iconColor": "red",
        "titleFormat": "{{alertname}}",
        "textFormat": "{{instance}}",
        "step": "30s",
    }


def _others() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Parley",
        "tags": ["parley"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "icon": "external link",
        "url": "",
        "tooltip": "",
        "targetBlank": False,
    }


def _link(title: str, url: str) -> dict[str, Any]:
    return {
        "type": "link",
        "title": title,
        "url": url,
        "icon": "external link",
        "tags": [],
        "asDropdown": False,
        "includeVars": False,
        "keepTime": False,
        "tooltip": "",
        "targetBlank": True,
    }


def _variables(board: Board) -> Iterator[dict[str, Any]]:
    for each in _SHARED:
        yield {
            "type": "query",
            "name": each.name,
            "label": each.label,
            "datasource": _SOURCE,
            "query": {"qryType": 1, "query": each.query, "refId": each.name},
            "refresh": 2,
            "sort": 1,
            "regex": "",
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "hide": 0,
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
            "options": [],
        }
    if any(isinstance(panel, Traces) for row in board.rows for panel in row.panels):
        yield _datasource("traces", "Traces", "tempo")
    for name, label in board.asks:
        yield {
            "type": "textbox",
            "name": name,
            "label": label,
            "query": "",
            "hide": 0,
            "current": {"selected": True, "text": "", "value": ""},
            "options": [],
        }


def _datasource(name: str, label: str, kind: str) -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": name,
        "label": label,
        "query": kind,
        "refresh": 1,
        "regex": "",
        "multi": False,
        "includeAll": False,
        "hide": 0,
        "options": [],
    }


def _panels(board: Board) -> Iterator[dict[str, Any]]:
    top = 0
    number = 0
    for row in board.rows:
        number += 1
        yield _head(row, number, top)
        top += 1
        left = 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left = top + row.height, 0
            number += 1
            yield {
                "id": number,
                "title": panel.title,
                "description": panel.about,
                "gridPos": {"x": left, "y": top, "w": panel.width, "h": row.height},
                **_kind(panel),
            }
            left += panel.width
        top += row.height


def _head(row: Row, number: int, top: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "panels": [],
        "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
    }


def _kind(panel: Shown) -> dict[str, Any]:
    match panel:
        case Number():
            return _number(panel)
        case Lines():
            return _lines(panel)
        case Text():
            return {"type": "text", "options": {"mode": "markdown", "content": panel.text}}
        case Traces():
            query = {"refId": "A", "datasource": _TRACES, "queryType": "traceql", "query": panel.query}
            return {"type": "traces", "datasource": _TRACES, "targets": [query]}


def _number(panel: Number) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "text" if panel.bad is None else "green", "value": None}]
    if panel.bad is not None:
        steps.append({"color": "red", "value": panel.bad})
    return {
        "type": "stat",
        "datasource": _SOURCE,
        "targets": [_target("A", panel.query, "")],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "noValue": panel.none,
                "color": {"mode": "thresholds"},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "value",
        },
    }


def _lines(panel: Lines) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "transparent", "value": None}]
    if panel.bad is not None:
        steps.append({"color": "red", "value": panel.bad})
    return {
        "type": "timeseries",
        "datasource": _SOURCE,
        "targets": [
            # Those of the first line: it is the one that has them.
            _target(chr(ord("A") + i), query, name) | ({"exemplar": True} if panel.examples and not i else {})
            for i, (query, name) in enumerate(panel.lines)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "color": {"mode": "palette-classic"},
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {
                    "drawStyle": "line",
                    "lineWidth": 1,
                    "fillOpacity": 30 if panel.stacked else 0,
                    "showPoints": "never",
                    "spanNulls": False,
                    "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
                    "thresholdsStyle": {"mode": "off" if panel.bad is None else "line"},
                },
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _target(ref: str, query: str, name: str) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": _SOURCE,
        "editorMode": "code",
        "expr": query,
        "legendFormat": name,
        "range": True,
        "instant": False,
    }


def written() -> dict[Path, str]:
    """Return what each file must hold."""
    return {
        HERE / f"{board.name}.json": json.dumps(dashboard(board), indent=2, ensure_ascii=False) + "\n"
        for board in BOARDS
    }


def main() -> None:
    """Write them."""
    for path, text in written().items():
        path.write_text(text)
        sys.stdout.write(f"deploy/grafana/{path.name}\n")


if __name__ == "__main__":
    main()
