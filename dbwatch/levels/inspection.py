"""Owns questions about a parsed level: which columns it reads, which need two samples, which limits it names.

Refuses to evaluate and to render.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dbwatch.levels.meaning import combine
from dbwatch.levels.nodes import (
    Arithmetic,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Function,
    Negate,
    Node,
    Number,
    walk,
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One `column comparison limit` of a level, turned so that the column stands left; base units."""

    column: str
    comparison: Comparison
    limit: float


def columns_used(expression: Expression) -> frozenset[str]:
    """Every column the expression depends on: those it names, and those its derived columns name."""
    return frozenset(node.name for node in _deep(expression.root) if isinstance(node, ColumnRef))


def counters_used(expression: Expression) -> frozenset[str]:
    """Columns whose previous sample is needed: in rate(), delta() or eta(), derived columns too."""
    return frozenset(node.target.name for node in _deep(expression.root) if isinstance(node, Call))


def forecast_used(expression: Expression) -> bool:
    """True when the expression, or a derived column of it, asks for eta()."""
    return any(isinstance(node, Call) and node.function is Function.ETA for node in _deep(expression.root))


def thresholds(expression: Expression) -> tuple[Threshold, ...]:
    """Every comparison of a bare column with a constant, in the order written."""
    found = (_threshold(node) for node in walk(expression.root) if isinstance(node, Compare))
    return tuple(threshold for threshold in found if threshold is not None)


def first_threshold(expression: Expression) -> float | None:
    """The constant of the first comparison of a bare column, in base units."""
    return next((threshold.limit for threshold in thresholds(expression)), None)


def _deep(node: Node) -> Iterator[Node]:
    for inner in walk(node):
        yield inner
        if isinstance(inner, ColumnRef) and inner.column.derived is not None:
            yield from _deep(inner.column.derived.root)


def _threshold(node: Compare) -> Threshold | None:
    if isinstance(node.left, ColumnRef) and (limit := _constant(node.right)) is not None:
        return Threshold(node.left.name, node.comparison, limit)
    if isinstance(node.right, ColumnRef) and (limit := _constant(node.left)) is not None:
        return Threshold(node.right.name, node.comparison.mirrored, limit)
    return None


def _constant(node: Node) -> float | None:
    match node:
        case Number():
            return node.value
        case Negate():
            inner = _constant(node.operand)
            return None if inner is None else -inner
        case Arithmetic():
            left, right = _constant(node.left), _constant(node.right)
            return None if left is None or right is None else combine(node.operator, left, right)
        case _:
            return None
