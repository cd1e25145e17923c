"""Owns what a level says about one row: Kleene logic over values that may be missing.

Refuses to know where samples come from and when they were taken. Never raises on a value: NULL, NaN and
text where a number belongs are all NULL, and NULL never becomes a finding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbwatch.levels.meaning import combine
from dbwatch.levels.nodes import (
    AllOf,
    AnyOf,
    Arithmetic,
    Call,
    ColumnKind,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Flag,
    Function,
    Membership,
    Negate,
    Node,
    Not,
    Number,
    Text,
    Truthy,
)

_Scalar = float | str | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """The same row at an earlier reading, `age_seconds` before now."""

    values: Mapping[str, float | None]
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One row now, and the same row `elapsed_seconds` before, when it was seen then.

    `earlier` holds readings before that one, oldest first, for eta().
    """

    values: Mapping[str, float | str | None]
    previous: Mapping[str, float | None] | None = None
    elapsed_seconds: float | None = None
    earlier: Sequence[Earlier] = ()


def holds(expression: Expression, sample: Sample) -> bool:
    """Whether the level is crossed; what cannot be known is not crossed."""
    return evaluate(expression, sample) is True


def evaluate(expression: Expression, sample: Sample) -> bool | float | str | None:
    """The value of the expression: a bool or None of a level, a float or None of a value."""
    root = expression.root
    if isinstance(root, Truthy | Compare | Membership | Not | AllOf | AnyOf):
        return _condition(root, sample)
    return _value(root, sample)


def _condition(node: Node, sample: Sample) -> bool | None:
    match node:
        case AllOf():
            return _kleene((_condition(operand, sample) for operand in node.operands), decisive=False)
        case AnyOf():
            return _kleene((_condition(operand, sample) for operand in node.operands), decisive=True)
        case Not():
            inner = _condition(node.operand, sample)
            return None if inner is None else not inner
        case Truthy():
            number = _number(node.operand, sample)
            return None if number is None else number != 0
        case Membership():
            text = _value(node.operand, sample)
            return None if text is None else text in node.choices
        case Compare():
            return _compare(node.comparison, _value(node.left, sample), _value(node.right, sample))
        case _:
            raise AssertionError(f"{type(node).__name__} is not a condition")


def _kleene(verdicts: Iterator[bool | None], *, decisive: bool) -> bool | None:
    unknown = False
    for verdict in verdicts:
        if verdict is decisive:
            return decisive
        unknown = unknown or verdict is None
    return None if unknown else not decisive


def _compare(comparison: Comparison, left: _Scalar, right: _Scalar) -> bool | None:
    if left is None or right is None:
        return None
    if comparison is Comparison.EQUAL:
        return left == right
    if comparison is Comparison.NOT_EQUAL:
        return left != right
    if isinstance(left, str) or isinstance(right, str):
        return None
    match comparison:
        case Comparison.GREATER:
            return left > right
        case Comparison.GREATER_EQUAL:
            return left >= right
        case Comparison.LESS:
            return left < right
        case Comparison.LESS_EQUAL:
            return left <= right


def _value(node: Node, sample: Sample) -> _Scalar:
    match node:
        case Number():
            return node.value
        case Flag():
            return float(node.value)
        case Text():
            return node.value
        case ColumnRef():
            return _column(node, sample)
        case Negate():
            operand = _number(node.operand, sample)
            return None if operand is None else -operand
        case Arithmetic():
            left, right = _number(node.left, sample), _number(node.right, sample)
            return None if left is None or right is None else combine(node.operator, left, right)
        case Call():
            return _eta(node, sample) if node.function is Function.ETA else _growth(node, sample)
        case _:
            raise AssertionError(f"{type(node).__name__} is not a value")


def _number(node: Node, sample: Sample) -> float | None:
    value = _value(node, sample)
    return None if isinstance(value, str) else value


def _column(ref: ColumnRef, sample: Sample) -> _Scalar:
    if ref.column.derived is not None:
        return _value(ref.column.derived.root, sample)
    value = sample.values.get(ref.name)
    match ref.column.kind:
        case ColumnKind.LABEL:
            # Prometheus cannot tell an empty label from no label; neither may the verdict.
            return value if isinstance(value, str) and value else None
        case ColumnKind.DETAIL_TEXT:
            return value if isinstance(value, str) else None
        case _:
            return as_number(value)


def as_number(value: float | str | None) -> float | None:
    """The value as a float; None for NULL, NaN, text, and integers that no float can hold."""
    if value is None or isinstance(value, str):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return None if math.isnan(number) else number


def _pair(ref: ColumnRef, sample: Sample) -> tuple[float, float, float | None] | None:
    """Now, before and the seconds between; None unless both are known."""
    now = as_number(sample.values.get(ref.name))
    before = None if sample.previous is None else as_number(sample.previous.get(ref.name))
    if now is None or before is None:
        return None
    elapsed = as_number(sample.elapsed_seconds)
    return now, before, elapsed if elapsed is not None and elapsed > 0 else None


def _growth(node: Call, sample: Sample) -> float | None:
    pair = _pair(node.target, sample)
    if pair is None:
        return None
    now, before, elapsed = pair
    # As Prometheus has it: a counter that went down was reset, and has grown from 0 since.
    delta = now if now < before else now - before
    if math.isnan(delta):
        return None
    if node.function is Function.DELTA:
        return delta
    return None if elapsed is None else delta / elapsed


def _eta(node: Call, sample: Sample) -> float | None:
    now = as_number(sample.values.get(node.target.name))
    limit = None if node.limit is None else _number(node.limit, sample)
    if now is None or limit is None:
        return None
    if now >= limit:
        return 0.0
    pair = _pair(node.target, sample)
    if pair is None or pair[2] is None:
        return None
    slope = _slope(node.target, sample, now, pair[1], pair[2])
    if not slope > 0:
        return None
    return (limit - now) / slope


def _slope(target: ColumnRef, sample: Sample, now: float, before: float, elapsed: float) -> float:
    """The slope since the lowest point we remember, the oldest of these: what fell in between has started anew."""
    lowest, age = before, elapsed
    for old in reversed(sample.earlier):
        value = as_number(old.values.get(target.name))
        if value is not None and value <= lowest:
            lowest, age = value, old.age_seconds
    return (now - lowest) / age
