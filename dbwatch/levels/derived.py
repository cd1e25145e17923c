"""Owns the order in which derived columns are parsed, so that one may be built on another.

Refuses to let them form a circle. A Column holds a finished Expression, so a circle cannot even be built;
this is where the author of a check hears about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

from dbwatch.levels.errors import LevelError
from dbwatch.levels.lexer import TokenKind, tokenize
from dbwatch.levels.nodes import Column, ColumnKind
from dbwatch.levels.parser import parse_value


class DerivedError(LevelError):
    """A LevelError that also says which derived column it is in."""

    def __init__(self, message: str, offset: int = 0, column: str = "") -> None:
        super().__init__(message, offset)
        self.column = column

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.offset, self.column)


def with_derived(
    columns: Mapping[str, Column], texts: Mapping[str, str], metrics: Mapping[str, str] | None = None
) -> dict[str, Column]:
    """The columns plus a derived one for each text, whatever their order; DerivedError names the bad one."""
    known = dict(columns)
    needs: dict[str, set[str]] = {}
    for name, text in texts.items():
        if name in columns:
            raise DerivedError(f"{name} is both a column and a derived column", 0, name)
        try:
            names = {token.text for token in tokenize(text) if token.kind is TokenKind.NAME}
        except LevelError as error:
            raise DerivedError(error.message, error.offset, name) from None
        needs[name] = names & set(texts)
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = [str(name) for name in error.args[1]]
        raise DerivedError(f"derived columns form a circle: {' -> '.join(circle)}", 0, circle[0]) from None
    for name in order:
        try:
            expression = parse_value(texts[name], known)
        except LevelError as error:
            raise DerivedError(error.message, error.offset, name) from None
        metric = None if metrics is None else metrics.get(name)
        known[name] = Column(ColumnKind.DERIVED, metric=metric, derived=expression)
    return known
