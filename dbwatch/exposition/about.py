"""Owns the metrics about the checks and the targets themselves. Pure; knows no store and no clock.

What is not known has no sample: no findings of a check that gave no answer, no facts of a server never reached.
`dbwatch_target_up` alone is always there: 0 until the target was reached.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.exposition.block import Block, counter, gauge, histogram, render
from dbwatch.exposition.labels import clean
from dbwatch.exposition.samples import constant_labels
from dbwatch.exposition.tally import BUCKETS_SECONDS, Tally
from dbwatch.levels import first_threshold
from dbwatch.model import Outcome, Status
from dbwatch.store import TargetState

_Scalar: TypeAlias = GaugeMetricFamily | CounterMetricFamily

_FINDING_LEVELS: Final = (Status.WARNING, Status.CRITICAL)


class _Families:
    """The families of one target; every series carries the `own` labels and the target's configured ones."""

    def __init__(self, target: Target, own: Mapping[str, str]) -> None:
        self._target = target
        self._own = own
        self._families: dict[str, _Scalar] = {}
        self.others: list[Metric] = []

    def gauge(self, name: str, text: str, value: float, **labels: str) -> None:
        self._add(gauge, name, text, value, labels)

    def counter(self, name: str, text: str, value: float, **labels: str) -> None:
        self._add(counter, name, text, value, labels)

    def labels(self, extra: Mapping[str, str]) -> dict[str, str]:
        return {**self._own, **extra, **constant_labels(self._target, (*self._own, *extra))}

    def render(self) -> Block:
        return render(itertools.chain(self._families.values(), self.others))

    def _add(
        self,
        make: Callable[[str, str, Sequence[str]], _Scalar],
        name: str,
        text: str,
        value: float,
        extra: Mapping[str, str],
    ) -> None:
        labels = self.labels(extra)
        if name not in self._families:
            self._families[name] = make(name, text, tuple(labels))
        self._families[name].add_metric(tuple(labels.values()), value)


def about_target(target: Target, state: TargetState, query_seconds: float | None = None) -> Block:
    """Up or down, what it is, and what it has cost; `query_seconds` is None where nobody counts."""
    families = _Families(target, {"target": target.name})
    up, engine, facts = float(state.up is True), str(target.engine), state.facts
    families.gauge("dbwatch_target_up", "Whether the server answered the last time it was asked.", up, engine=engine)
    if facts is not None:
        families.gauge(
            "dbwatch_target_info",
            "What the server is; the value is always 1.",
            1.0,
            engine=engine,
            version=clean(facts.version_text),
            role=str(facts.role),
            flavour=clean(facts.flavour),
        )
    for power in facts.excess if facts is not None else ():
        families.gauge(
            "dbwatch_target_excess_privilege",
            "A right that the monitor's role has and should not have; the value is always 1.",
            1.0,
            privilege=power,
        )
    if query_seconds is not None:
        families.counter(
            "dbwatch_target_query_seconds_total", "Time the server has spent on our questions.", query_seconds
        )
    return families.render()


def verdict_of(target: Target, outcome: Outcome) -> Block:
    """The status of a check, why it is unknown or skipped, and how many findings it has."""
    families = _Families(target, {"target": target.name, "check": outcome.check})
    _verdict(families, outcome)
    return families.render()


def about_check(target: Target, check: Check, outcome: Outcome | None, tally: Tally, *, today: datetime.date) -> Block:
    """Everything about one check on one target: verdict, freshness, pace, cost, limits."""
    families = _Families(target, {"target": target.name, "check": check.name})
    if outcome is not None:
        _verdict(families, outcome)
    if tally.last_success_seconds is not None:
        families.gauge(
            "dbwatch_check_last_success_timestamp_seconds",
            "When the check last gave an answer.",
            tally.last_success_seconds,
        )
    families.gauge("dbwatch_check_interval_seconds", "How often the check runs.", interval_of(target, check))
    for status, runs in sorted(tally.runs.items()):
        families.counter("dbwatch_check_runs_total", "Runs of the check by their result.", runs, result=str(status))
    families.counter("dbwatch_check_missed_total", "Runs left out because the one before had not ended.", tally.missed)
    families.counter(
        "dbwatch_series_dropped_total",
        "Series and rows left out: too many, of equal labels, or not a number.",
        tally.dropped,
    )
    if target.overrides(check.name, today):
        families.gauge(
            "dbwatch_check_overridden",
            "The target has its own thresholds, interval or ignored findings for the check; the value is always 1.",
            1.0,
        )
    for level, expression in check.levels.items():
        limit = first_threshold(expression)
        if limit is not None:
            families.gauge(
                "dbwatch_threshold", "The first limit that the level of a check names.", limit, level=str(level)
            )
    _durations(families, tally)
    return families.render()


def interval_of(target: Target, check: Check) -> float:
    """Seconds between two runs of a check on this target."""
    return target.intervals.get(check.name, check.every)


def _verdict(families: _Families, outcome: Outcome) -> None:
    families.gauge(
        "dbwatch_check_status",
        "The verdict of the check: 0 ok, 1 warning, 2 critical, 3 unknown, 4 skipped.",
        outcome.status.number,
    )
    if outcome.reason is not None:
        families.gauge(
            "dbwatch_check_reason",
            "Why the check is unknown or skipped; the value is always 1.",
            1.0,
            reason=str(outcome.reason),
        )
    if outcome.answered:
        for status in _FINDING_LEVELS:
            found = sum(finding.status is status for finding in outcome.findings)
            families.gauge("dbwatch_check_findings", "Rows beyond a limit of the check.", found, status=str(status))


def _durations(families: _Families, tally: Tally) -> None:
    if not any(tally.observed):
        return
    labels = families.labels({})
    within = itertools.accumulate(tally.observed)
    family = histogram("dbwatch_check_duration_seconds", "How long runs of the check took.", tuple(labels))
    bounds = [*(str(bound) for bound in BUCKETS_SECONDS), "+Inf"]
    family.add_metric(tuple(labels.values()), list(zip(bounds, within, strict=True)), tally.run_seconds)
    families.others.append(family)
