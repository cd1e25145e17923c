"""Owns the PromQL of a check's levels: windows, the fall back to the verdict, and what the value of an alert is.

Refuses to know rule files and panels.

No expression asks whether its samples are fresh. The daemon takes a check's samples away when its last success is
older than two intervals and the timeout, and a target's when it goes down; so what PromQL sees is what is known, and
what is not known is DbwatchCheckUnknown's and DbwatchCheckStale's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import indent
from typing import Final

from dbwatch.catalogue import Check
from dbwatch.levels import Comparison, Expression, NotExpressible, PromqlContext, first_threshold, to_promql
from dbwatch.levels.canonical import plain_number
from dbwatch.levels.nodes import (
    AllOf,
    AnyOf,
    Arithmetic,
    Call,
    ColumnRef,
    Compare,
    Function,
    Negate,
    Node,
    Not,
    Number,
    Operator,
    walk,
)
from dbwatch.levels.promql import measured_first, measures, selects
from dbwatch.model import Reason, Status
from dbwatch.render.units import Unit, per_second, unit_of_column
from dbwatch.render.variants import Variant

SAME_TARGET: Final = "on (job, instance, target)"
"""Two daemons may each have a target named `postgres`."""

_SHORTEST_WINDOW_SECONDS: Final = 120.0
_WINDOW_RUNS: Final = 4
_ETA_WINDOW_SECONDS: Final = 6 * 3600.0
_LONG_LINE: Final = 90


@dataclass(frozen=True, slots=True)
class AlertExpression:
    """The PromQL of one level. `reason` says why it asks the verdict instead; `unit` is that of the value.

    Without a `subject` the value is one of several, or (`is_flag`) says no more than that the level is crossed.
    """

    promql: str
    reason: str | None = None
    subject: str | None = None
    unit: Unit = Unit.COUNT
    is_flag: bool = False


def alert_expression(
    check: Check, status: Status, *, shared: bool = False, variant: Variant | None = None
) -> AlertExpression:
    """The condition under which the level is crossed, by the default threshold or the target's own.

    `shared` says that another engine has a check of this name: then the findings of its targets are left out.
    `variant` says for which targets of a configuration these are the thresholds.
    """
    level = check.levels[status]
    matcher = variant.matcher if variant is not None else ""
    findings = f"{_about(check, 'dbwatch_check_findings', matcher, status=status)} > 0"
    if shared:
        findings += f' and {SAME_TARGET} dbwatch_target_up{{engine="{check.engine}"}}'
    if not _is_free_of_runs(level.root):
        return AlertExpression(findings, "delta() is what one run saw, and no window of Prometheus is one run")
    try:
        crossed = _written(level, promql_context(check, matcher))
    except NotExpressible as error:
        return AlertExpression(findings, reason=error.reason)
    otherwise = _otherwise(check, status, variant)
    subject, unit = _value_of(check, level)
    is_flag = not any(measures(node) for node in walk(level.root))
    promql = f"""\
(
{indent(crossed, "  ")}
)
unless {SAME_TARGET} {otherwise}
or (
  {findings}
  and {SAME_TARGET} {otherwise}
)"""
    return AlertExpression(promql, None, subject, unit, is_flag)


def _otherwise(check: Check, status: Status, variant: Variant | None) -> str:
    """The targets that judge by other limits than the rule: it follows their verdict."""
    if variant is None or not variant.own:
        # `ignore:` and `thresholds:` of a target change the verdict, so they must change the alert. Where the
        # daemon exports no such series this is the level and nothing else.
        return _about(check, "dbwatch_check_overridden", variant.matcher if variant is not None else "")
    # These limits were rendered, and the daemon may have been told others since, or have to run the check less often.
    limit = first_threshold(check.levels[status])
    stretched = _about(check, "dbwatch_check_reason", variant.matcher, reason=Reason.BUDGET)
    if limit is None:
        return stretched
    in_force = _about(check, "dbwatch_threshold", variant.matcher, level=status)
    return f"({in_force} != {plain_number(limit)} or {stretched})"


def _about(check: Check, metric: str, matcher: str, **labels: str) -> str:
    """A selector of one of the daemon's own metrics about the check."""
    pairs = [f'{name}="{value}"' for name, value in labels.items()]
    inside = ",".join(part for part in (f'check="{check.name}"', matcher, *pairs) if part)
    return f"{metric}{{{inside}}}"


def promql_context(check: Check, matchers: str = "", window: str | None = None) -> PromqlContext:
    """How this check's columns are said in PromQL; `window` stands in for the one that alerts use."""
    return PromqlContext(
        window=window or prometheus_duration(window_seconds(check)),
        matchers=matchers,
        base_metric=next((column.metric for column in check.exported.values()), None),
        eta_window=prometheus_duration(max(_WINDOW_RUNS * check.every, _ETA_WINDOW_SECONDS)),
    )


def window_seconds(check: Check) -> float:
    """How far back the rates of an alert look: over several runs and several scrapes."""
    return max(_WINDOW_RUNS * check.every, _SHORTEST_WINDOW_SECONDS)


def prometheus_duration(seconds: float) -> str:
    """`1h30m`, as Prometheus writes it."""
    left = round(seconds * 1000)
    text = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _written(level: Expression, context: PromqlContext) -> str:
    """The PromQL of a level; a long one has a line for each part."""
    whole = to_promql(level, context)
    root = level.root
    if len(whole) <= _LONG_LINE or not isinstance(root, AllOf | AnyOf):
        return whole
    operands = root.operands if isinstance(root, AnyOf) else measured_first(root.operands)
    parts = [to_promql(Expression(operand), context) for operand in operands]
    if isinstance(root, AnyOf):
        return "\nor ".join(parts)
    loose = [isinstance(operand, AnyOf | Not) for operand in operands]
    return "\nand ".join(f"({part})" if bare else part for part, bare in zip(parts, loose, strict=True))


def _is_free_of_runs(node: Node) -> bool:
    """Whether the level means the same whatever time delta() spans, as ratios and comparisons with 0 do."""
    try:
        for inner in walk(node):
            if isinstance(inner, Compare):
                _same_power(_power(inner.left), _power(inner.right))
            elif isinstance(inner, ColumnRef | Call | Arithmetic):
                _power(inner)
    except _DependsOnRunError:
        return False
    return True


class _DependsOnRunError(Exception):
    """A sum or comparison of something that grows with the time span and something that does not."""


def _power(node: Node) -> int | None:
    """With which power of the time span the value grows; None of 0, which is any."""
    match node:
        case Number():
            return None if node.value == 0 else 0
        case ColumnRef() if node.column.derived is not None:
            return _power(node.column.derived.root)
        case Call():
            return 1 if node.function is Function.DELTA else 0
        case Negate():
            return _power(node.operand)
        case Arithmetic():
            left, right = _power(node.left), _power(node.right)
            if node.operator in (Operator.ADD, Operator.SUBTRACT):
                return _same_power(left, right)
            sign = 1 if node.operator is Operator.MULTIPLY else -1
            return None if left is None else left + sign * (right or 0)
        case _:
            return 0


def _same_power(left: int | None, right: int | None) -> int | None:
    if left is not None and right is not None and left != right:
        raise _DependsOnRunError
    return left if left is not None else right


def _value_of(check: Check, level: Expression) -> tuple[str | None, Unit]:
    """What the series that the level returns measure: the left of its first comparison, if one can say."""
    return _measured_by(check, level.root)


def _measured_by(check: Check, node: Node) -> tuple[str | None, Unit]:
    while isinstance(node, AllOf):
        node = measured_first(node.operands)[0]
    if isinstance(node, AnyOf):
        # Whichever holds gives its value: that has a name only where it is the same for all.
        options = {_measured_by(check, operand) for operand in node.operands}
        return options.pop() if len(options) == 1 else (None, Unit.COUNT)
    if selects(node):
        base = next((name for name in check.exported), None)
        return (base, unit_of_column(check, base)) if base is not None else (None, Unit.COUNT)
    if not isinstance(node, Compare) or node.comparison in (Comparison.EQUAL, Comparison.NOT_EQUAL):
        return None, Unit.COUNT
    measured = node.right if isinstance(node.left, Number) else node.left
    match measured:
        case ColumnRef():
            return measured.name, unit_of_column(check, measured.name)
        case Call(function=Function.RATE):
            return f"rate({measured.target.name})", per_second(unit_of_column(check, measured.target.name))
        case Call(function=Function.ETA):
            return f"eta({measured.target.name})", Unit.SECONDS
        case _:
            return None, Unit.COUNT
