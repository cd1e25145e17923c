"""Owns the step from catalogue and statistics rows to the columns of `layout`, or to the reason there are none.

Knows no pages and asks nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbwatch.engines.postgres.bloat.layout import Column, Item, Width, heap_item
from dbwatch.engines.postgres.bloat.model import Withheld
from dbwatch.engines.postgres.bloat.rows import (
    Row,
    flag,
    integer,
    integer_or_none,
    number,
    pairs,
    text,
    text_or_none,
)

_ALIGN = {"c": 1, "s": 2, "i": 4, "d": 8}
_SHORT_PAYLOAD = 126
"""The longest payload of a value with a 1-byte header."""
_SHORTENED = 3
_CSTRING = -2
_ABSENT = Column(Width.fixed(0), 1, null_frac=1.0)


@dataclass(frozen=True, slots=True)
class RowShape:
    """The size of a table's rows, or why it is unknown."""

    item: Item | None
    withheld: Withheld | None = None
    is_fixed: bool = False
    """The catalogue alone tells the size: statistics, however old, do not matter."""
    differs_stored: bool = False
    """Stored rows may have another size than `item`, which a rewrite gives them: they still hold a dropped column,
    or do not yet hold the default of one that was added."""


def row_shape(rows: Iterable[Row], *, rows_hidden: bool, never_analyzed: bool) -> RowShape:
    """One table's shape from its `table_columns` rows, in attribute order."""
    columns: list[Column] = []
    is_fixed = True
    differs = False
    missing: set[Withheld] = set()
    for row in rows:
        differs = differs or flag(row, "dropped") or flag(row, "default_not_stored")
        if flag(row, "dropped") or flag(row, "virtual"):
            columns.append(_ABSENT)
            continue
        size = integer(row, "fixed_size")
        if size > 0 and flag(row, "not_null"):
            columns.append(fixed_column(row))
            continue
        is_fixed = False
        why = lacking(row, rows_hidden=rows_hidden, never_analyzed=never_analyzed)
        if why is None:
            columns.append(measured_column(row))
        else:
            missing.add(why)
    for reason in (Withheld.PRIVILEGE, Withheld.NEVER_ANALYZED, Withheld.INHERITED_ONLY, Withheld.NO_STATISTICS):
        if reason in missing:
            return RowShape(None, reason, differs_stored=differs)
    return RowShape(heap_item(columns), None, is_fixed, differs)


def lacking(row: Row, *, rows_hidden: bool, never_analyzed: bool) -> Withheld | None:
    """Why a column's statistics cannot be used; None when they can."""
    if flag(row, "has_statistics"):
        return None
    if rows_hidden or not flag(row, "visible"):
        return Withheld.PRIVILEGE
    if never_analyzed:
        return Withheld.NEVER_ANALYZED
    return Withheld.INHERITED_ONLY if flag(row, "has_inherited") else Withheld.NO_STATISTICS


def fixed_column(row: Row) -> Column:
    """A column of one size without NULLs, from the catalogue alone."""
    return Column(Width.fixed(integer(row, "fixed_size")), _ALIGN[text(row, "align")])


def measured_column(row: Row, null_frac: float | None = None, *, computed: bool = False) -> Column:
    """A column from its statistics; `null_frac` overrides theirs where something better is known.

    `computed` values (of an expression) were measured by ANALYZE before their header was shortened.
    """
    nulls = number(row, "null_frac") if null_frac is None else null_frac
    align = _ALIGN[text(row, "align")]
    size = integer(row, "fixed_size")
    if size > 0:
        return Column(Width.fixed(size), align, nulls)
    sampled = pairs(text_or_none(row, "sizes"))
    mean = float(integer_or_none(row, "avg_width") or 0)
    if size == _CSTRING:
        # The index on a `name` column: stored as a C string, while avg_width tells the 64 bytes of the table.
        total = sum(weight for _, weight in sampled) or 1.0
        ended = [(length + 1, weight) for length, weight in sampled]
        return Column(Width.varying(sum(n * w for n, w in ended) / total, ended), 1, nulls)
    packable = text(row, "storage") != "p"
    if computed and packable and _SHORTENED < mean <= _SHORT_PAYLOAD + 4:
        mean -= _SHORTENED
    if flag(row, "is_array"):
        return Column(Width.stepped(mean, packable=packable), align, nulls, varlena=packable)
    stored = [(_stored(length, packable), weight) for length, weight in sampled]
    return Column(Width.varying(mean, stored), align, nulls, varlena=packable)


def _stored(payload: int, packable: bool) -> int:
    return payload + (1 if packable and payload <= _SHORT_PAYLOAD else 4)
