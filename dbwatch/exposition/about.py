"""Owns the metrics about the checks and the targets themselves. Pure; knows no store and no clock.

What is not known has no sample: no findings of a check that gave no answer, no facts of a server never reached.
`dbwatch_target_up` alone is always there: 0 until the target was reached.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.exposition.block import Block, counter, gauge, histogram, render
from dbwatch.exposition.labels import clean
from dbwatch.exposition.samples import constant_labels
from dbwatch.exposition.tally import BUCKETS_SECONDS, Cost, Tally
from dbwatch.levels import first_threshold
from dbwatch.model import Outcome, Reason, Status
from dbwatch.store import TargetState

_Scalar: TypeAlias = GaugeMetricFamily | CounterMetricFamily

_REASON_HELP: Final = "Why the check is unknown, skipped, or (budget) runs less often; the value is always 1."
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


def about_target(target: Target, state: TargetState) -> Block:
    """Up or down, and what it is."""
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
    return families.render()


def cost_of(target: Target, cost: Cost, more_seconds: float = 0.0) -> Block:
    """What all runs on a target took, and what they and `more_seconds` of other questions cost its server.

    Nothing missed is a zero: the first run that is missed is a growth for `increase()`.
    """
    families = _Families(target, {"target": target.name})
    families.counter(
        "dbwatch_target_query_seconds_total",
        "Time the server has spent on our questions.",
        cost.database_seconds + more_seconds,
    )
    for status, runs in sorted(cost.runs.items()):
        families.counter("dbwatch_check_runs_total", "Runs of checks by their result.", runs, result=str(status))
    text = "Runs of a target's checks left out because the one before had not ended."
    families.counter("dbwatch_check_missed_total", text, cost.missed)
    if target.budget is not None:
        families.gauge(
            "dbwatch_target_budget_ratio",
            "The share of a core that our questions may cost the server; beyond it they are asked less often.",
            target.budget,
        )
    if any(cost.observed):
        labels = families.labels({})
        family = histogram("dbwatch_check_duration_seconds", "How long runs of checks took.", tuple(labels))
        bounds = [*(str(bound) for bound in BUCKETS_SECONDS), "+Inf"]
        within = itertools.accumulate(cost.observed)
        family.add_metric(tuple(labels.values()), list(zip(bounds, within, strict=True)), cost.run_seconds)
        families.others.append(family)
    return families.render()


def verdict_of(target: Target, outcome: Outcome) -> Block:
    """The status of a check, why it is unknown or skipped, and how many findings it has."""
    families = _Families(target, {"target": target.name, "check": outcome.check})
    _verdict(families, outcome)
    return families.render()


def limits_of(target: Target, check: Check, *, overridden: bool, stretch: float = 1.0) -> Block:
    """The pace and the limits of a check on a target: what the configuration says of them, and what the budget leaves.

    A rule's windows are made for the check's own interval, so the rules follow the verdict of one that is stretched.
    """
    families = _Families(target, {"target": target.name, "check": check.name})
    families.gauge("dbwatch_check_interval_seconds", "How often the check runs.", interval_of(target, check) * stretch)
    if stretch > 1.0:
        families.gauge("dbwatch_check_reason", _REASON_HELP, 1.0, reason=str(Reason.BUDGET))
    if overridden or stretch > 1.0:
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
    return families.render()


def runs_of(target: Target, check: Check, tally: Tally) -> Block:
    """What was counted of a check's runs: when it last answered, what was left out. Nothing is no series.

    What it cost is told of the dearest only: a hundred checks of a target cost next to nothing.
    """
    families = _Families(target, {"target": target.name, "check": check.name})
    if tally.last_success_seconds is not None:
        families.gauge(
            "dbwatch_check_last_success_timestamp_seconds",
            "When the check last gave an answer.",
            tally.last_success_seconds,
        )
    if tally.is_dear:
        families.counter(
            "dbwatch_check_query_seconds_total",
            "Time the server has spent on the check.",
            tally.cost.database_seconds,
        )
    if tally.dropped:
        text = "Series and rows left out: too many, of equal labels, or not a number."
        families.counter("dbwatch_series_dropped_total", text, tally.dropped)
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
            _REASON_HELP,
            1.0,
            reason=str(outcome.reason),
        )
    if outcome.answered:
        for status in _FINDING_LEVELS:
            if found := sum(finding.status is status for finding in outcome.findings):
                families.gauge("dbwatch_check_findings", "Rows beyond a limit of the check.", found, status=str(status))
