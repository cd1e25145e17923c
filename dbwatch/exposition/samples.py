"""Owns what one outcome puts on the page of its check's own metrics. Pure; knows no store and no clock.

Labels of a series: `target`, the check's label columns, and the labels the configuration gives the target. Where a
configured label has the name of a column, the column wins: it tells rows apart. NULL is no sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Use
from dbwatch.config import Target
from dbwatch.exposition.block import NOTHING, Block, counter, gauge, render
from dbwatch.exposition.labels import clean
from dbwatch.model import Outcome, Row

MOST_SERIES_OF_CHECK: Final = 1_000
MOST_SERIES_OF_TARGET: Final = 10_000


@dataclass(frozen=True, slots=True)
class Samples:
    """The rendered samples, and how many series were left out."""

    block: Block = NOTHING
    dropped: int = 0


def constant_labels(target: Target, own: Iterable[str]) -> Mapping[str, str]:
    """The configured labels of a target that do not hide one of the series' `own` labels."""
    taken = {"target", *own}
    return {name: clean(text) for name, text in sorted(target.labels.items()) if name not in taken}


def samples_of(target: Target, check: Check, outcome: Outcome, room: int = MOST_SERIES_OF_CHECK) -> Samples:
    """Render the rows of an outcome into at most `room` series, whole rows, findings first, then by key."""
    constant = constant_labels(target, check.labels)
    names = ("target", *check.labels, *constant)
    families = _families(check, names)
    seen: set[tuple[str, ...]] = set()
    written = 0
    dropped = outcome.dropped_rows
    for row in sorted(outcome.rows, key=_precedence):
        values = {column: value for column in families if (value := row.values.get(column)) is not None}
        finite = {column: value for column, value in values.items() if math.isfinite(value)}
        dropped += len(values) - len(finite)
        identity = tuple(clean(row.labels.get(name, "")) for name in check.labels)
        if identity in seen or written + len(finite) > room:
            dropped += len(finite)
            continue
        seen.add(identity)
        written += len(finite)
        labels = (target.name, *identity, *constant.values())
        for column, value in finite.items():
            families[column].add_metric(labels, value)
    return Samples(render(families.values()), dropped)


def _families(check: Check, names: tuple[str, ...]) -> dict[str, GaugeMetricFamily | CounterMetricFamily]:
    families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for column, declared in check.exported.items():
        assert declared.metric is not None
        make = counter if declared.use is Use.COUNTER else gauge
        families[column] = make(declared.metric, declared.help or check.summary, names)
    return families


def _precedence(row: Row) -> tuple[int, str]:
    return -row.status.severity, row.key
