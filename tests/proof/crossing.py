"""Owns moving a captured row over and under a level, one column at a time, by asking the level language itself.

Refuses to know PromQL, which is asked afterwards whether it agrees.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dbwatch.catalogue import Check
from dbwatch.levels import Expression, Sample, columns_used, evaluate, holds
from dbwatch.levels.nodes import AllOf, AnyOf, Call, ColumnRef, Compare, Node, Not, Truthy
from dbwatch.model import Status
from tests.proof.capture import CapturedRow
from tests.proof.series import deep

_CLOSE = 1e-6
_CLEAR = 0.02


@dataclass(frozen=True, slots=True)
class Edge:
    """A row just over a level in one column, and just under it."""

    column: str
    over: CapturedRow
    under: CapturedRow


def crossed(check: Check, row: CapturedRow, elapsed: float) -> frozenset[Status]:
    """Every level that the row crosses, not only the worst."""
    seen = _sample(row, elapsed)
    return frozenset(status for status, level in check.levels.items() if holds(level, seen))


def raised(check: Check, status: Status, row: CapturedRow, elapsed: float, *, known_only: bool) -> CapturedRow | None:
    """The row with as much changed as it takes to cross the level; None when exported numbers alone cannot.

    Unless `known_only`, numbers that a test cannot wait for (a growth over days) are made up first.
    """
    level = check.levels[status]
    if not known_only:
        used = columns_used(level) & set(check.exported)
        row = replace(row, values={**row.values, **{name: 1.0 for name in used if row.values.get(name) is None}})
    found = _made(check, level.root, row, elapsed, wanted=True)
    return found if found is not None and holds(level, _sample(found, elapsed)) else None


def edges(check: Check, status: Status, row: CapturedRow, elapsed: float) -> Iterator[Edge]:
    """Where the level begins and ends, for each exported number it looks at, from a row that crosses it."""
    level = check.levels[status]
    rates = any(isinstance(node, Call) for node in deep(level.root))
    for name in sorted(columns_used(level) & set(check.exported)):
        outside = (other for other in _changed(check, name, row, elapsed) if not holds(level, _sample(other, elapsed)))
        # The first may lie on the limit itself, where the last digit of a rate decides.
        for under in list(itertools.islice(outside, 3))[-1:]:
            edge = _narrowed(level, Edge(name, row, under), elapsed)
            yield _widened(level, Edge(name, row, under), edge, elapsed) if rates else edge


def _widened(level: Expression, whole: Edge, edge: Edge, elapsed: float) -> Edge:
    """Rates are sums of many steps in Prometheus: where the last digit decides, the two may differ."""
    over, under = (
        _with(
            near, edge.column, _value(near, edge.column) + 0.02 * (_value(far, edge.column) - _value(near, edge.column))
        )
        for near, far in ((edge.over, whole.over), (edge.under, whole.under))
    )
    still = holds(level, _sample(over, elapsed)) and not holds(level, _sample(under, elapsed))
    return replace(edge, over=over, under=under) if still else whole


def _towards(near: CapturedRow, far: CapturedRow, column: str) -> CapturedRow:
    value = _value(near, column)
    return _with(near, column, value + _CLEAR * (_value(far, column) - value))


def _narrowed(level: Expression, edge: Edge, elapsed: float) -> Edge:
    over, under = _value(edge.over, edge.column), _value(edge.under, edge.column)
    while abs(over - under) > _CLOSE * max(abs(over), abs(under)):
        middle = over + (under - over) / 2
        if middle in (over, under):
            break
        row = _with(edge.over, edge.column, middle)
        if holds(level, _sample(row, elapsed)):
            over, edge = middle, replace(edge, over=row)
        else:
            under, edge = middle, replace(edge, under=row)
    return edge


def _made(check: Check, node: Node, row: CapturedRow, elapsed: float, *, wanted: bool) -> CapturedRow | None:
    if evaluate(Expression(node), _sample(row, elapsed)) is wanted:
        return row
    match node:
        case Not():
            return _made(check, node.operand, row, elapsed, wanted=not wanted)
        case AllOf() | AnyOf() if isinstance(node, AllOf) is wanted:
            made: CapturedRow | None = row
            for operand in (*node.operands, *node.operands):
                made = made and _made(check, operand, made, elapsed, wanted=wanted)
            return made
        case AllOf() | AnyOf():
            options = (_made(check, operand, row, elapsed, wanted=wanted) for operand in node.operands)
            return next((option for option in options if option is not None), None)
        case Compare() | Truthy():
            names = [inner.name for inner in deep(node) if isinstance(inner, ColumnRef)]
            return next(
                (
                    other
                    for name in dict.fromkeys(names)
                    for other in _changed(check, name, row, elapsed)
                    if evaluate(Expression(node), _sample(other, elapsed)) is wanted
                ),
                None,
            )
        case _:
            return None


def _changed(check: Check, name: str, row: CapturedRow, elapsed: float) -> Iterator[CapturedRow]:
    """The row with other numbers in one exported column, near ones first. What is not known stays so."""
    value = row.values.get(name)
    if name not in check.exported or not isinstance(value, float):
        return
    before = row.previous.get(name) if row.previous is not None else None
    is_counter = (check.columns[name].metric or "").endswith("_total")
    if is_counter and (before is None or not elapsed):
        return
    base = before if is_counter and before is not None else 0.0
    size = value - base
    for power in range(1, 70):
        for factor in (2.0**power, 2.0**-power):
            yield _with(row, name, base + size * factor)
            yield _with(row, name, base + factor)
        if power == 1:
            yield _with(row, name, base)
            yield _with(row, name, base + 1)
            if not is_counter:
                yield _with(row, name, base - 1)


def _with(row: CapturedRow, name: str, value: float) -> CapturedRow:
    return replace(row, values={**row.values, name: value})


def _value(row: CapturedRow, name: str) -> float:
    value = row.values[name]
    assert isinstance(value, float)
    return value


def _sample(row: CapturedRow, elapsed: float) -> Sample:
    values = {**row.labels, **row.values}
    return Sample(values, row.previous, elapsed or None)
