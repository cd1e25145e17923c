"""The level of every check and the rule made of it say the same about random rows, near the limits and far away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from dbwatch.catalogue import Check
from dbwatch.levels.nodes import Membership, Number, Text
from dbwatch.model import Status
from dbwatch.render import alert_name
from dbwatch.render.expression import alert_expression
from dbwatch.render.names import has_alert
from tests.proof.capture import CapturedRow
from tests.proof.crossing import crossed, raised
from tests.proof.series import Key, Point, deep, forecast_columns, key_of
from tests.proof.trial import Life, Rules, cross_all, edge_seconds
from tests.render.bundled_files import catalogue

ROWS = 12
ELAPSED = 300.0


def test_every_level_and_its_rule_agree(tmp_path: Path) -> None:
    seed = int(os.environ.get("DBWATCH_SEED", "20261120"))
    random = Random(seed)
    lives = [life for check in catalogue() if has_alert(check) for life in _lives(check, random)]
    fired = {alert for life in lives for alert in life.expected}
    silent = {alert_name(life.check) for life in lives if not life.expected}
    assert cross_all(Rules(catalogue(), tmp_path), lives) == [], f"repeat with DBWATCH_SEED={seed}"
    names = {alert_name(life.check) for life in lives}
    # Some checks list nothing but what is wrong: a row is a finding.
    assert len(silent) > 0.8 * len(names)
    assert len({name for name, _ in fired}) > 0.95 * len(names), sorted(names - {name for name, _ in fired})


def _lives(check: Check, random: Random) -> Iterator[Life]:
    shared = len(catalogue().named(check.name)) > 1
    literal = frozenset(
        status for status in check.levels if alert_expression(check, status, shared=shared).reason is None
    )
    if not literal:
        return
    made = 0
    while made < ROWS:
        row = _row(check, random)
        if made % 3 == 0:  # many numbers have to come together, which chance alone rarely brings about
            row = raised(check, random.choice(list(check.levels)), row, ELAPSED, known_only=True) or row
        statuses = crossed(check, row, ELAPSED) & literal
        if not all(crossed(check, near, ELAPSED) & literal == statuses for near in _nearby(check, row)):
            continue  # rounding decides
        made += 1
        expected = frozenset((alert_name(check), str(status)) for status in statuses)
        yield Life(f"{check.engine}/{check.name} {row}", check, _page(check, row), None, expected)


def _row(check: Check, random: Random) -> CapturedRow:
    nodes = [node for level in check.levels.values() for node in deep(level.root)]
    limits = [node.value for node in nodes if isinstance(node, Number)]
    words = [node.value for node in nodes if isinstance(node, Text)]
    words += [word for node in nodes if isinstance(node, Membership) for word in node.choices]
    values: dict[str, float | str | None] = {}
    previous: dict[str, float | None] = {}
    for place, (name, column) in enumerate(check.exported.items()):
        near = random.choice([*limits, 0.0, 1.0, random.uniform(0, 2), 10 ** random.uniform(0, 12)])
        value = random.choice([near * random.choice([0.5, 0.99, 1.01, 2, 1]), near, 0.0, 1.0])
        if (column.metric or "").endswith("_total"):
            before = float(random.randint(0, 1000))
            grown = value * random.choice([1.0, ELAPSED])
            values[name], previous[name] = before + grown, before
        else:
            # The first series is there in every row: labels are selected from it.
            values[name] = value if place == 0 or random.random() > 0.1 else None
            previous[name] = value - random.choice([0.0, value / 100, value / 3, -value / 10])
    labels = {name: random.choice([*words, "some", "we\"ird \\ 'name'"]) for name in check.labels}
    return CapturedRow(labels, values, previous)


def _nearby(check: Check, row: CapturedRow) -> Iterator[CapturedRow]:
    """The row with its speeds a little lower and higher: Prometheus has them from a regression."""
    for factor in (0.98, 1.02):
        values = dict(row.values)
        previous = dict(row.previous or {})
        for name in check.exported:
            value, before = values[name], previous[name]
            if not isinstance(value, float) or before is None:
                continue
            if (check.columns[name].metric or "").endswith("_total"):
                values[name] = before + (value - before) * factor
            else:
                previous[name] = value - (value - before) * factor
        yield replace(row, values=values, previous=previous)


def _page(check: Check, row: CapturedRow) -> dict[Key, Point]:
    ends_at, forecast = edge_seconds([check]), forecast_columns(check)
    page: dict[Key, Point] = {}
    for name, column in check.exported.items():
        value, before = row.values[name], (row.previous or {})[name]
        if not isinstance(value, float) or before is None or column.metric is None:
            continue
        moves = column.metric.endswith("_total") or name in forecast
        slope = (value - before) / ELAPSED if moves else 0.0
        page[key_of(column.metric, {"target": "t", **row.labels})] = Point(value - slope * ends_at, slope)
    return page


def test_statuses_are_compared_one_by_one() -> None:
    """A critical row is not thereby a warning one, and the trial above must not assume it."""
    (check,) = (check for check in catalogue().named("checksum_failure"))
    row = CapturedRow({"database": "d"}, {"failures": 1.0, "last_failure_age_seconds": 60.0}, None)
    assert crossed(check, row, ELAPSED) == {Status.CRITICAL, Status.WARNING}
