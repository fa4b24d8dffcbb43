"""The metrics and labels that queries in PromQL name: not a parser, but it knows the few forms that ours have."""

import re
from typing import Final, NamedTuple

_SELECTOR: Final = re.compile(r"\b([a-zA-Z_]\w*)\s*(?:\{([^}]*)\})")
_NAME: Final = re.compile(r"\b(parley_\w+|up|ALERTS|probe_\w+|certmanager_\w+)\b")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_MATCHER: Final = re.compile(r"\s*(\w+)\s*(?:=~|!~|!=|=)")
_GROUPED: Final = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")

WHERE: Final = frozenset({"namespace", "exported_namespace", "job", "pod", "instance"})
"""Labels that come with the scrape and not from a process."""


class Named(NamedTuple):
    """What a query names."""

    metrics: set[str]
    matched: set[tuple[str, str]]
    """A metric, and a label of it that is matched."""
    grouped: set[str]
    """Labels by which is grouped."""


def named(query: str) -> Named:
    """Return what *query* names."""
    bare = _STRING.sub('""', query)
    matched = {
        (metric, matcher[1])
        for metric, matchers in _SELECTOR.findall(bare)
        for part in matchers.split(",")
        if (matcher := _MATCHER.match(part))
    }
    grouped = {label.strip() for labels in _GROUPED.findall(bare) for label in labels.split(",") if label.strip()}
    return Named(set(_NAME.findall(bare)), matched, grouped)


def family(metric: str) -> str:
    """Return the name under which a metric is defined; a histogram tells under three others."""
    return re.sub(r"_(bucket|sum|count)$", "", metric)
