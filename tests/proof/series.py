"""Owns turning pages of the daemon into promtool's input series: held, growing, missing one scrape, and over.

Refuses to know rules and what should fire.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from dbwatch.catalogue import Check
from dbwatch.exposition.labels import clean
from dbwatch.levels.nodes import Call, ColumnRef, Function, Node, walk
from tests.proof.capture import Capture, CapturedRow

JOB: Final = "dbwatch"
LAST_SUCCESS: Final = "dbwatch_check_last_success_timestamp_seconds"
_ABOUT: Final = ("dbwatch_check_", "dbwatch_target_", "dbwatch_series_", "dbwatch_threshold")
_LEFT_OUT: Final = ("dbwatch_check_duration_seconds",)

Key = tuple[str, tuple[tuple[str, str], ...]]
"""A metric and its labels, sorted."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one series shows at the start, and how much it grows a second."""

    value: float
    slope: float = 0.0

    def values(self, first: int, count: int, interval: float) -> str:
        """`count` samples from the `first` on, in promtool's words."""
        start, step = self.value + self.slope * first * interval, self.slope * interval
        return f"{_number(start)}{'-' if step < 0 else '+'}{_number(abs(step))}x{count - 1}"


Page = Mapping[Key, Point]


def page_of(capture: Capture, check: Check) -> dict[Key, Point]:
    """The series of a capture: counters go on growing as they did between its looks, clocks go on ticking."""
    now, before = _samples(capture.page), _samples(capture.before)
    forecast = {check.columns[name].metric for name in forecast_columns(check)}
    points = {}
    for key, value in now.items():
        metric, old = key[0], before.get(key)
        if metric == LAST_SUCCESS:
            points[key] = Point(0.0, 1.0)
        elif metric.endswith("_total") and old is not None:
            # Looks of a test follow one another at once; a daemon's own counters move once in an interval.
            elapsed = check.every if metric.startswith(_ABOUT) else capture.elapsed_seconds
            points[key] = Point(value, _growth(old, value) / elapsed)
        elif metric in forecast and old is not None:
            points[key] = Point(value, (value - old) / capture.elapsed_seconds)
        else:
            points[key] = Point(value)
    return points


def as_by_default(page: Page) -> dict[Key, Point]:
    """The page of a target without thresholds of its own."""
    return {key: point for key, point in page.items() if key[0] != "dbwatch_check_overridden"}


def at_rest(page: Page) -> dict[Key, Point]:
    """The page of a server on which nothing grows any more."""
    return {key: point if key[0] == LAST_SUCCESS else Point(point.value) for key, point in page.items()}


def with_row(page: Page, capture: Capture, check: Check, row: CapturedRow, *, ends_at: float = 0.0) -> dict[Key, Point]:
    """The page with other numbers in one row. What is forecast reaches its number at `ends_at` seconds."""
    changed = dict(page)
    forecast = forecast_columns(check)
    target = next(dict(key[1])["target"] for key in page)
    for name, column in check.exported.items():
        value = row.values.get(name)
        if column.metric is None or not isinstance(value, float):
            continue
        key = key_of(column.metric, {"target": target, **{label: row.labels.get(label, "") for label in check.labels}})
        before = row.previous.get(name) if row.previous is not None else None
        slope = 0.0
        if before is not None and capture.elapsed_seconds and (column.metric.endswith("_total") or name in forecast):
            grown = _growth(before, value) if column.metric.endswith("_total") else value - before
            slope = grown / capture.elapsed_seconds
        start = value - slope * ends_at if name in forecast else value
        changed[key] = Point(start, slope)
    return changed


def key_of(metric: str, labels: Mapping[str, str]) -> Key:
    return metric, tuple(sorted((name, clean(value)) for name, value in labels.items()))


def forecast_columns(check: Check) -> frozenset[str]:
    """Gauges whose slope matters: those that eta() looks at."""
    roots = [level.root for level in (*check.levels.values(), *check.derived.values())]
    return frozenset(
        node.target.name
        for root in roots
        for node in deep(root)
        if isinstance(node, Call) and node.function is Function.ETA
    )


def deep(node: Node) -> Iterable[Node]:
    """The node and all within, through named expressions."""
    for inner in walk(node):
        yield inner
        if isinstance(inner, ColumnRef) and inner.column.derived is not None:
            yield from deep(inner.column.derived.root)


@dataclass(frozen=True, slots=True)
class Timeline:
    """Numbers of steps: the fault holds, one scrape is missed, the fault goes on, and is over."""

    interval: float
    missed: int
    over: int
    end: int

    def at(self, step: int) -> str:
        return f"{round(step * self.interval)}s"

    def series(self, instance: str, fault: Page, after: Page | None) -> list[dict[str, str]]:
        """Input series of one instance. Without `after` the series of the fault end, as when a target is forgotten."""
        return [
            {"series": selector(key, instance), "values": self._values(fault.get(key), (after or {}).get(key))}
            for key in dict.fromkeys((*fault, *(after or {})))
        ]

    def _values(self, fault: Point | None, after: Point | None) -> str:
        left = self.end - self.over
        if fault is None:
            values = f"_x{self.over}"
        else:
            # A scrape that fails ends all series at once: that is what a gap looks like to Prometheus.
            held = fault.values(0, self.missed, self.interval)
            values = f"{held} stale {fault.values(self.missed + 1, self.over - self.missed - 1, self.interval)}"
        return f"{values} {after.values(0, left, self.interval) if after is not None else 'stale'}"


def held(instance: str, page: Page, count: int, interval: float) -> list[dict[str, str]]:
    """Input series of one instance that nothing happens to."""
    return [
        {"series": selector(key, instance), "values": point.values(0, count, interval)} for key, point in page.items()
    ]


def selector(key: Key, instance: str) -> str:
    labels = {**dict(key[1]), "job": JOB, "instance": instance}
    inside = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items() if value)
    return f"{key[0]}{{{inside}}}"


def parse_page(text: str) -> dict[Key, float]:
    """Every sample of a page."""
    return {
        key_of(sample.name, sample.labels): float(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _samples(text: str) -> dict[Key, float]:
    """Those about targets: what the process says of itself is nobody's alert here."""
    return {
        key: value
        for key, value in parse_page(text).items()
        if any(name == "target" for name, _ in key[1]) and not key[0].startswith(_LEFT_OUT)
    }


def _growth(before: float, now: float) -> float:
    return now if now < before else now - before


def _number(value: float) -> str:
    if math.isinf(value) or math.isnan(value):
        raise ValueError(f"{value} is on a page")
    return repr(value)
