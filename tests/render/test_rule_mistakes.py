"""The mistakes of public rule sets, looked for in ours: rules that are dead, latch, make noise or mix up targets.

Which rule sets made which of them is told in the study of alerts; each test names the mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from dbwatch.levels.nodes import AllOf, AnyOf, Arithmetic, Call, ColumnRef, Compare, Function, Node, Not, Operator, walk
from dbwatch.model import Engine, Reason, Status
from dbwatch.render import alert_name
from dbwatch.render.expression import window_seconds
from dbwatch.render.names import has_alert
from dbwatch.render.self_metrics import SELF_METRICS
from tests.render.bundled_files import catalogue, matching
from tests.render.promql_text import selectors

COUNTED = ("_total", "_bucket", "_sum", "_count")
OF_PROMETHEUS = {"up": frozenset[str](), "ALERTS": frozenset({"alertname", "alertstate"})}
"""Their labels beside job and instance."""
ENUMERATED = {
    "status": {str(Status.WARNING), str(Status.CRITICAL)},
    "level": {str(Status.WARNING), str(Status.CRITICAL)},
    "result": {str(status) for status in Status},
    "reason": {str(reason) for reason in Reason},
    "engine": set(map(str, Engine)),
    "check": {check.name for check in catalogue()},
}


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in sorted(matching("alerts/*.rules.yaml"))
        for group in yaml.safe_load(matching(path)[path])["groups"]
        for rule in group["rules"]
    ]


RULES = rules()
CHECKS = [check for check in catalogue() if has_alert(check)]


def named(rule: dict[str, Any]) -> str:
    return f"{rule['alert']} {rule['labels']['severity']}"


def labels_of(metric: str) -> frozenset[str]:
    """The labels that every series of a metric has, beside job and instance."""
    if metric in OF_PROMETHEUS:
        return OF_PROMETHEUS[metric]
    for own in SELF_METRICS:
        if re.fullmatch(own.name + ("(_bucket|_sum|_count)?" if own.kind == "histogram" else ""), metric):
            return frozenset(own.labels)
    (check,) = (check for check in catalogue() if metric in {column.metric for column in check.exported.values()})
    return frozenset({"target", *check.labels})


def is_counter(metric: str) -> bool:
    return metric.startswith("dbwatch_") and metric.endswith(COUNTED)


def mistakes(expr: str) -> Iterator[str]:
    """What is wrong with one expression."""
    ranged = re.findall(r"(\w+)\(([\w:]+)(?:\{[^}]*\})?\[", expr)
    for function, metric in ranged:
        counts = is_counter(metric)
        if function in ("rate", "increase", "irate") and not counts:
            yield f"{function}() of the gauge {metric} cannot mean what it says"
        if function in ("deriv", "predict_linear", "delta", "idelta") and counts:
            yield f"{function}() of the counter {metric} breaks at its resets"
    for metric, inside in selectors(re.sub(r"[\w:]+(\{[^}]*\})?\[[^\]]*\]", "", expr)):
        # One that comes last after `and` lends its labels and not its value.
        lends = re.search(rf"\band {metric}\{{{re.escape(inside)}\}}(?! *[-+*/<>=!])", expr)
        if is_counter(metric) and not lends:
            yield f"the raw counter {metric} latches"
    for metric in re.findall(r"\b\w+_timestamp_seconds\b", expr):
        if not re.search(rf"time\(\) - {metric}\b", expr):
            yield f"{metric} is an instant, and means nothing but as an age"
    for divisor in re.findall(r"/ (\(?[^()]*(?:\([^()]*\)[^()]*)*\)?)", expr):
        if not re.match(r"\d", divisor) and not re.search(r"(!= 0|> 0)\)", divisor):
            yield f"a division by what may be 0: {divisor}"
    if re.search(r"\babsent(_over_time)?\(", expr):
        yield "absent() knows no labels: which target is it?"
    if re.search(r"\b(count|sum|min|max|avg)\b.*\)\s*(<=?|==|!=)\s*[\d.]+(?![\d.]*\s*\*)", expr):
        yield "an aggregate of nothing is nothing, and never below or equal to a number"
    for by in re.findall(r"\b(?:sum|count|min|max|avg|group)\b( by \(([^)]*)\))?\s*\(", expr):
        kept = set(re.findall(r"\w+", by[1]))
        about_targets = "target" in labels_of(next(selectors(expr))[0])
        if not {"job"} <= kept or (about_targets and not {"job", "instance", "target"} <= kept):
            yield "aggregates over targets that have nothing to do with each other"
    if not re.search(r"[<>]|[=!]=|=~|=\"", expr):
        yield "holds always"


def joins(expr: str) -> Iterator[str]:
    """Operands that are matched by all their labels and do not have the same."""
    for part in re.split(r"\b(?:and|or|unless) on \([^)]*\)|\bor\b", expr):
        if re.search(r"\bby \(", part):
            continue
        named = [(metric, labels_of(metric)) for metric, _ in selectors(part)]
        if len({labels for _, labels in named}) > 1:
            yield f"{sorted(metric for metric, _ in named)} do not have the same labels"


def test_no_rule_makes_one_of_the_known_mistakes() -> None:
    assert [f"{named(rule)}: {found}" for rule in RULES for found in mistakes(rule["expr"])] == []


def test_what_is_joined_has_the_same_labels() -> None:
    assert [f"{named(rule)}: {found}" for rule in RULES for found in joins(rule["expr"])] == []


def test_rules_ask_for_labels_and_words_that_exist() -> None:
    for rule in RULES:
        for metric, inside in selectors(rule["expr"]):
            for name, text in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', inside):
                assert name in labels_of(metric), f"{named(rule)}: {metric} has no label {name}"
                words = set(text.split("|"))
                assert words <= ENUMERATED.get(name, words), f"{named(rule)}: no {name} is {words - ENUMERATED[name]}"


def test_a_rate_looks_over_several_runs_and_scrapes() -> None:
    assert [check.name for check in CHECKS if window_seconds(check) < max(4 * check.every, 120)] == []


def test_a_forecast_alone_alarms_nobody() -> None:
    """Prediction without a level is noise: a file copied twice in a row is on its way to fill the disk."""
    assert list(unguarded(forecasts)) == []


def test_a_ratio_of_counters_needs_traffic() -> None:
    """Two of three requests failing is a rate of two thirds, and nothing."""
    assert list(unguarded(is_traffic_ratio)) == []


def unguarded(concerned: Callable[[Node], bool]) -> Iterator[str]:
    """Levels with an alternative in which nothing but such comparisons has to hold."""
    for check in CHECKS:
        for status, level in check.levels.items():
            for term in alternatives(level.root):
                if all(concerned(node) for node in term):
                    yield f"{check.name} {status}"


def test_warning_and_critical_have_one_name_and_critical_is_rare() -> None:
    severities: dict[str, list[str]] = {}
    for rule in RULES:
        severities.setdefault(rule["alert"], []).append(rule["labels"]["severity"])
    assert all(len(set(found)) == len(found) for found in severities.values())
    critical = sum("critical" in found for found in severities.values())
    assert critical <= len(RULES) / 3
    assert {alert_name(check) for check in CHECKS} <= set(severities)


def alternatives(node: Node) -> list[list[Node]]:
    """The level as an `or` of `and`s, each the comparisons that have to hold together."""
    match node:
        case AnyOf():
            return [term for operand in node.operands for term in alternatives(operand)]
        case AllOf():
            terms: list[list[Node]] = [[]]
            for operand in node.operands:
                terms = [[*left, *right] for left in terms for right in alternatives(operand)]
            return terms
        case Not():
            return [[node]]
        case _:
            return [[node]]


def deep(node: Node) -> Iterator[Node]:
    for inner in walk(node):
        yield inner
        if isinstance(inner, ColumnRef) and inner.column.derived is not None:
            yield from deep(inner.column.derived.root)


def forecasts(node: Node) -> bool:
    return any(isinstance(inner, Call) and inner.function is Function.ETA for inner in deep(node))


def is_traffic_ratio(node: Node) -> bool:
    """Whether a comparison is about one counter's growth over another's."""
    if not isinstance(node, Compare):
        return False
    return any(
        isinstance(inner, Arithmetic)
        and inner.operator is Operator.DIVIDE
        and all(any(isinstance(part, Call) for part in deep(side)) for side in (inner.left, inner.right))
        for inner in deep(node)
    )


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("rate(dbwatch_pg_query_oldest_seconds[5m]) > 120", "cannot mean what it says"),
        ("deriv(dbwatch_pg_deadlocks_total[6h]) > 0", "breaks at its resets"),
        ("dbwatch_pg_deadlocks_total > 10", "latches"),
        ("dbwatch_check_last_success_timestamp_seconds < 5", "means nothing but as an age"),
        ("dbwatch_pg_database_size_bytes / dbwatch_pg_connections_limit > 0.8", "by what may be 0"),
        ("absent(dbwatch_build_info)", "knows no labels"),
        ("count(dbwatch_pg_in_recovery == 0) < 1", "never below or equal"),
        ("count(dbwatch_pg_in_recovery == 0) > 1", "nothing to do with each other"),
        ("dbwatch_pg_query_oldest_seconds", "holds always"),
    ],
)
def test_each_mistake_would_be_seen(expr: str, said: str) -> None:
    assert any(said in mistake for mistake in mistakes(expr))


def test_a_join_of_different_labels_would_be_seen() -> None:
    assert list(joins("dbwatch_pg_query_oldest_seconds > 60 and dbwatch_target_up == 1"))
    assert list(joins("dbwatch_pg_query_oldest_seconds > 60 and on (target) dbwatch_target_up == 1")) == []
