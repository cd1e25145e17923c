"""Owns the estimate of table bloat: which facts to ask for, in which order, within which budget of pages.

Refuses to read rows of user tables, and to measure relations that somebody holds or awaits exclusively.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dbwatch.engines.postgres.bloat import sql_parts, sql_tables
from dbwatch.engines.postgres.bloat.activity import activity_of
from dbwatch.engines.postgres.bloat.columns import RowShape, row_shape
from dbwatch.engines.postgres.bloat.heap import FreeSpace, Page
from dbwatch.engines.postgres.bloat.model import MIN_PAGES, BloatFacts, Fetch, TableBloat, Withheld
from dbwatch.engines.postgres.bloat.rows import (
    Row,
    fillfactor,
    flag,
    integer,
    integer_or_none,
    number,
    pairs,
    text,
    text_or_none,
)
from dbwatch.engines.postgres.bloat.verdict import Approximation, Evidence, Verdict, judge

FSM_PAGES = 1_048_576
"""Pages of the free space map looked at in one run (0.4 µs each); larger tables are sampled at even steps."""
FSM_PAGES_PER_TABLE = 16_384
"""What every table gets, however many there are."""
HEAP_PAGES = 32_768
"""Heap pages pgstattuple_approx may read in one run."""
_MAX_COLUMNS = 1600

_FREE_SPACE = "pg_freespace(regclass,bigint)"
_VISIBILITY = "pg_visibility_map_summary(regclass)"
_APPROX = "pgstattuple_approx(regclass)"
_EXTENSION_OF = {_FREE_SPACE: "pg_freespacemap", _VISIBILITY: "pg_visibility", _APPROX: "pgstattuple"}


@dataclass(frozen=True, slots=True)
class _Table:
    row: Row
    oid: int
    bytes: int
    evidence: Evidence


def estimate_tables(fetch: Fetch, facts: BloatFacts, *, limit: int = 100) -> list[TableBloat]:
    """The bloat of the `limit` largest user tables of this database, largest first, each with a method or a reason."""
    rows = fetch(sql_tables.largest_tables(limit, MIN_PAGES), limit=limit)
    if not rows:
        return []
    shapes = _shapes(fetch, [row for row in rows if _refused(row) is None])
    estimates: list[TableBloat] = []
    tables: list[_Table] = []
    for row in rows:
        refused = _refused(row)
        if refused is not None:
            estimates.append(_withheld(row, refused))
            continue
        size = integer_or_none(row, "main_bytes")
        if size is None or size < MIN_PAGES * facts.block_size:
            continue  # dropped or truncated meanwhile
        tables.append(_table(row, size, shapes[integer(row, "oid")], facts.block_size))
    for table, verdict in _judge_all(fetch, facts, tables):
        estimates.append(_estimate(table, verdict))
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


def _table(row: Row, size: int, shape: RowShape, block_size: int) -> _Table:
    page = Page(block_size, fillfactor(text_or_none(row, "options"), default=100))
    evidence = Evidence(page, activity_of(row, size // block_size), shape)
    return _Table(row, integer(row, "oid"), size, evidence)


def _judge_all(fetch: Fetch, facts: BloatFacts, tables: Sequence[_Table]) -> list[tuple[_Table, Verdict]]:
    schemas = _callable(fetch, facts)
    free = _free_space(fetch, schemas, tables)
    tables = [replace(table, evidence=replace(table.evidence, free=free.get(table.oid))) for table in tables]
    verdicts = {table.oid: judge(table.evidence) for table in tables}
    unsettled = [table for table in tables if verdicts[table.oid].wants_arbiter]
    for oid, seen in _approximate(fetch, schemas, unsettled).items():
        table = next(table for table in unsettled if table.oid == oid)
        verdicts[oid] = judge(replace(table.evidence, approximation=seen))
    return [(table, verdicts[table.oid]) for table in tables]


def _callable(fetch: Fetch, facts: BloatFacts) -> dict[str, str]:
    """The schemas of the extension functions that exist and that we may call, by signature."""
    schemas = {
        signature: facts.extensions[extension]
        for signature, extension in _EXTENSION_OF.items()
        if extension in facts.extensions
    }
    if not schemas:
        return {}
    asked = [(schema, signature) for signature, schema in schemas.items()]
    allowed = fetch(sql_parts.may_call(asked), limit=len(asked))
    return {signature: schemas[signature] for signature in (text(row, "signature") for row in allowed)}


def _free_space(fetch: Fetch, schemas: Mapping[str, str], tables: Sequence[_Table]) -> dict[int, FreeSpace]:
    if _FREE_SPACE not in schemas or not tables:
        return {}
    share = max(FSM_PAGES_PER_TABLE, FSM_PAGES // len(tables))
    wanted = [
        (table.oid, table.evidence.activity.pages, -(-table.evidence.activity.pages // share)) for table in tables
    ]
    rows = fetch(sql_tables.free_space(schemas[_FREE_SPACE], wanted), limit=len(wanted))
    return {
        integer(row, "oid"): FreeSpace(
            tuple((bytes_free, int(pages)) for bytes_free, pages in pairs(text(row, "histogram")))
        )
        for row in rows
    }


def _approximate(fetch: Fetch, schemas: Mapping[str, str], tables: Sequence[_Table]) -> dict[int, Approximation]:
    """What pgstattuple_approx says of as many tables, largest first, as the page budget allows."""
    if _APPROX not in schemas or not tables:
        return {}
    visible: dict[int, int] = {}
    if _VISIBILITY in schemas:
        asked = [table.oid for table in tables]
        rows = fetch(sql_tables.visibility(schemas[_VISIBILITY], asked), limit=len(asked))
        visible = {integer(row, "oid"): integer(row, "all_visible") for row in rows}
    budget = HEAP_PAGES
    chosen: list[int] = []
    for table in tables:
        to_read = max(0, table.evidence.activity.pages - visible.get(table.oid, 0))
        if to_read <= budget:
            budget -= to_read
            chosen.append(table.oid)
    if not chosen:
        return {}
    return {
        integer(row, "oid"): Approximation(
            scanned_ratio=number(row, "scanned_percent") / 100,
            live=number(row, "live"),
            dead=number(row, "dead"),
            free_bytes=number(row, "free_bytes"),
        )
        for row in fetch(sql_tables.approximate(schemas[_APPROX], chosen), limit=len(chosen))
    }


def _withheld(row: Row, reason: Withheld) -> TableBloat:
    return TableBloat(
        oid=integer(row, "oid"),
        schema=text(row, "schema"),
        relation=text(row, "relation"),
        relation_bytes=integer_or_none(row, "main_bytes"),
        withheld=reason,
    )


def _estimate(table: _Table, verdict: Verdict) -> TableBloat:
    rows = table.evidence.activity.live_rows
    if table.evidence.approximation is not None:
        rows = table.evidence.approximation.live
    return TableBloat(
        oid=table.oid,
        schema=text(table.row, "schema"),
        relation=text(table.row, "relation"),
        relation_bytes=table.bytes,
        bloat_bytes=_bytes(verdict.ratio, table.bytes),
        bloat_ratio=verdict.ratio,
        bloat_ratio_high=verdict.high,
        dead_bytes=_bytes(verdict.dead, table.bytes),
        live_rows=None if rows is None else round(rows),
        method=verdict.method,
        confidence=verdict.confidence,
        withheld=verdict.withheld,
    )


def _bytes(ratio: float | None, size: int) -> int | None:
    return None if ratio is None else round(ratio * size)
