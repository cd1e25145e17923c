"""Reads PromQL as text, as far as tests need: which metrics it names and what it says without Grafana's variables."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORDS = frozenset(
    {"and", "or", "unless", "bool", "by", "without", "on", "ignoring", "group_left", "group_right", "offset"}
)
_GRAFANA = (
    (re.compile(r"\$__rate_interval"), "5m"),
    (re.compile(r"\$__interval"), "1m"),
    (re.compile(r"\$__range"), "1h"),
    (re.compile(r"\$\{?\w+\}?"), "sample"),
)


def metric_names(expr: str) -> frozenset[str]:
    """The metrics an expression selects from."""
    return frozenset(name for name, _ in selectors(expr))


def selectors(expr: str) -> Iterator[tuple[str, str]]:
    """Every selector as metric and what stands between its braces."""
    quoted: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quoted.append(match[0])
        return f'"q{len(quoted) - 1}"'

    bare = re.sub(r'"(?:[^"\\]|\\.)*"', keep, expr)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", bare)
    pattern = r"(?<![\w.:$\"])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(?!\s*\(|[\w:{])"
    for match in re.finditer(pattern, re.sub(r"\b\d+(\.\d+)?(e[+-]?\d+)?\b", "0", bare)):
        if match[1] not in _WORDS:
            inside = (match[2] or "{}")[1:-1]
            yield match[1], re.sub(r'"q(\d+)"', lambda number: quoted[int(number[1])], inside)


def without_variables(expr: str) -> str:
    """The expression as Grafana would send it, with sample values."""
    for pattern, value in _GRAFANA:
        expr = pattern.sub(value, expr)
    return expr
