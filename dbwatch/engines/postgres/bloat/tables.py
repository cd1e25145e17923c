"""Owns the estimate of table bloat: which tables, and which facts about them.

Refuses to read rows of user tables, and to measure relations that somebody holds or awaits exclusively.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from dbwatch.engines.postgres.bloat import sql_tables
from dbwatch.engines.postgres.bloat.activity import activity_of
from dbwatch.engines.postgres.bloat.columns import RowShape, row_shape
from dbwatch.engines.postgres.bloat.heap import Page
from dbwatch.engines.postgres.bloat.measuring import Heap, Measured, callable_measures, measure
from dbwatch.engines.postgres.bloat.model import MIN_PAGES, BloatFacts, Fetch, TableBloat, Withheld
from dbwatch.engines.postgres.bloat.rows import (
    Row,
    fillfactor,
    flag,
    integer,
    integer_or_none,
    text,
    text_or_none,
)
from dbwatch.engines.postgres.bloat.verdict import Evidence

_MAX_COLUMNS = 1600


def estimate_tables(fetch: Fetch, facts: BloatFacts, *, limit: int = 100) -> list[TableBloat]:
    """The bloat of the `limit` largest user tables of this database, largest first, each with a method or a reason."""
    rows = fetch(sql_tables.largest_tables(limit, MIN_PAGES), limit=limit)
    if not rows:
        return []
    shapes = _shapes(fetch, [row for row in rows if _refused(row) is None])
    estimates: list[TableBloat] = []
    tables: list[Heap] = []
    for row in rows:
        refused = _refused(row)
        if refused is not None:
            estimates.append(without_answer(row, refused))
            continue
        size = integer_or_none(row, "main_bytes")
        if size is None or size < MIN_PAGES * facts.block_size:
            continue  # dropped or truncated meanwhile
        tables.append(_table(row, size, shapes[integer(row, "oid")], facts.block_size))
    schemas = callable_measures(fetch, facts)
    estimates.extend(described(one) for one in measure(fetch, schemas, tables))
    return sorted(estimates, key=lambda one: (-(one.relation_bytes or 0), one.oid))


def _refused(row: Row) -> Withheld | None:
    if flag(row, "is_locked"):
        return Withheld.LOCKED
    if text_or_none(row, "access_method") != "heap":
        return Withheld.UNSUPPORTED_ACCESS_METHOD
    return None


def _shapes(fetch: Fetch, rows: Sequence[Row]) -> dict[int, RowShape]:
    if not rows:
        return {}
    oids = [integer(row, "oid") for row in rows]
    columns: dict[int, list[Row]] = defaultdict(list)
    for column in fetch(sql_tables.table_columns(oids), limit=len(oids) * _MAX_COLUMNS):
        columns[integer(column, "relation_oid")].append(column)
    return {
        oid: row_shape(
            columns[oid],
            rows_hidden=flag(row, "rows_hidden"),
            never_analyzed=activity_of(row, 0).never_analyzed,
        )
        for oid, row in zip(oids, rows, strict=True)
    }


def _table(row: Row, size: int, shape: RowShape, block_size: int) -> Heap:
    page = Page(block_size, fillfactor(text_or_none(row, "options"), default=100))
    evidence = Evidence(page, activity_of(row, size // block_size), shape)
    return Heap(row, integer(row, "oid"), size, evidence)


def without_answer(row: Row, reason: Withheld) -> TableBloat:
    """The table with the reason why nothing is said of it."""
    return TableBloat(
        oid=integer(row, "oid"),
        schema=text(row, "schema"),
        relation=text(row, "relation"),
        relation_bytes=integer_or_none(row, "main_bytes"),
        withheld=reason,
    )


def described(measured: Measured) -> TableBloat:
    """The verdict in words and bytes."""
    heap, verdict, rows = measured.heap, measured.verdict, measured.live_rows
    return TableBloat(
        oid=heap.oid,
        schema=text(heap.row, "schema"),
        relation=text(heap.row, "relation"),
        relation_bytes=heap.bytes,
        bloat_bytes=_bytes(verdict.ratio, heap.bytes),
        bloat_ratio=verdict.ratio,
        bloat_ratio_high=verdict.high,
        dead_bytes=_bytes(verdict.dead, heap.bytes),
        live_rows=None if rows is None else round(rows),
        method=verdict.method,
        confidence=verdict.confidence,
        withheld=verdict.withheld,
    )


def _bytes(ratio: float | None, size: int) -> int | None:
    return None if ratio is None else round(ratio * size)
