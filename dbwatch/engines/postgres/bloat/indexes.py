"""Owns the estimate of btree index bloat: the facts asked for, and when they suffice.

Refuses indexes whose keys the statistics do not describe: other access methods, most partial ones, expressions
nobody analyzed. Reads no index page.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dbwatch.engines.postgres.bloat import sql_indexes
from dbwatch.engines.postgres.bloat.activity import Activity, activity_of
from dbwatch.engines.postgres.bloat.btree import Keys, built_pages, missed_factor, plausible_groups
from dbwatch.engines.postgres.bloat.columns import fixed_column, lacking, measured_column
from dbwatch.engines.postgres.bloat.layout import Column
from dbwatch.engines.postgres.bloat.model import (
    MIN_PAGES,
    BloatFacts,
    Confidence,
    Fetch,
    IndexBloat,
    Method,
    Withheld,
)
from dbwatch.engines.postgres.bloat.rows import (
    Row,
    fillfactor,
    flag,
    integer,
    integer_or_none,
    number,
    numbers,
    option,
    text,
    text_or_none,
)

_MAX_COLUMNS = 32
_DISPUTE = 0.05
_SAME = 0.02
_UNIQUE = -0.99
"""ANALYZE writes -1 for a column without duplicates."""
_OFF = ("off", "false", "no", "0", "f", "n")

Sets = Mapping[tuple[int, str], float]


@dataclass(frozen=True, slots=True)
class _Answer:
    """Shares of the pages that a build would give back, at least and at most."""

    low: float
    high: float
    method: Method
    confidence: Confidence


def estimate_indexes(fetch: Fetch, facts: BloatFacts, *, limit: int = 100) -> list[IndexBloat]:
    """The bloat of the `limit` largest user indexes of this database, largest first, or the reason for none."""
    rows = fetch(sql_indexes.largest_indexes(limit, MIN_PAGES), limit=limit)
    wanted = [row for row in rows if _refused(row) is None]
    columns: dict[int, list[Row]] = defaultdict(list)
    sets: Sets = {}
    if wanted:
        oids = [integer(row, "oid") for row in wanted]
        tables = sorted({integer(row, "table_oid") for row in wanted})
        asked = sql_indexes.index_columns(oids, tables)
        for column in fetch(asked, limit=len(oids) * _MAX_COLUMNS):
            columns[integer(column, "index_oid")].append(column)
        if any(integer(row, "key_columns") > 1 for row in wanted):
            sets = _distinct_sets(fetch, tables)
    estimates: list[IndexBloat] = []
    for row in rows:
        size = integer_or_none(row, "main_bytes")
        refused = _refused(row)
        if refused is not Withheld.LOCKED and (size is None or size < MIN_PAGES * facts.block_size):
            continue
        answer = refused or _answer(row, columns[integer(row, "oid")], sets, facts.block_size)
        estimates.append(_estimate(row, size, answer))
    return sorted(estimates, key=lambda one: (-(one.index_bytes or 0), one.oid))


def _distinct_sets(fetch: Fetch, tables: Sequence[int]) -> Sets:
    rows = fetch(sql_indexes.distinct_sets(tables), limit=len(tables) * 1000)
    return {(integer(row, "table_oid"), text(row, "positions")): number(row, "distinct_rows") for row in rows}


def _refused(row: Row) -> Withheld | None:
    if flag(row, "is_locked"):
        return Withheld.LOCKED
    if text_or_none(row, "access_method") != "btree":
        return Withheld.UNSUPPORTED_ACCESS_METHOD
    if not flag(row, "is_valid"):
        return Withheld.INVALID
    return None


def _answer(row: Row, columns: Sequence[Row], sets: Sets, block_size: int) -> _Answer | Withheld:
    """The answer; a range where it depends on when the counters of the table were handed in."""
    activity = activity_of(row, integer(row, "table_bytes") // block_size)
    settled = activity.settled()
    if settled is None:
        return _answer_for(activity, row, columns, sets, block_size)
    then, since = (_answer_for(activity, row, columns, sets, block_size) for activity in settled)
    if isinstance(then, Withheld) or isinstance(since, Withheld) or since.high - then.high <= _SAME:
        return then
    return replace(then, high=since.high, confidence=Confidence.LOW)


def _answer_for(
    activity: Activity, row: Row, columns: Sequence[Row], sets: Sets, block_size: int
) -> _Answer | Withheld:
    rows = _rows(row, activity)
    merges = _merges_equal_keys(row, columns)
    is_fixed = not merges and all(_is_fixed(column) for column in columns)
    if not is_fixed:
        why = _lacking(row, columns, activity)
        if why is not None:
            return why
    if rows is None:
        return Withheld.NEVER_ANALYZED
    if (not activity.counted and activity.has_moved) if is_fixed else activity.is_stale:
        return Withheld.STALE_STATISTICS
    described = [_column(column) for column in columns]
    if flag(row, "is_partial") and not is_fixed and not _describes_subset(columns, merges):
        return Withheld.PARTIAL_PREDICATE
    pages = integer(row, "main_bytes") // block_size
    filled = fillfactor(text_or_none(row, "options"), default=90)
    shares = [
        min(1.0, max(0.0, 1.0 - built_pages(rows, keys, filled, block_size) / pages))
        for keys in _keys(row, columns, described, merges, sets, activity, rows)
    ]
    if is_fixed:
        confidence = Confidence.HIGH if activity.counted else Confidence.MEDIUM
        return _Answer(min(shares), max(shares), Method.FIXED_WIDTH, confidence)
    confidence = Confidence.MEDIUM if activity.counted else Confidence.LOW
    return _Answer(min(shares), max(shares), Method.STATISTICS, confidence)


def _rows(row: Row, activity: Activity) -> float | None:
    """Rows that the index must hold: the table's, or for a partial one its own count, moved along with the table's."""
    live = activity.live_rows
    if not flag(row, "is_partial") or live is None:
        return live
    own = number(row, "index_rows")
    if own < 0 or activity.reltuples <= 0:
        return None
    return min(live, own * live / activity.reltuples)


def _merges_equal_keys(row: Row, columns: Sequence[Row]) -> bool:
    """Whether a build would make posting lists."""
    return (
        not flag(row, "is_unique")
        and integer(row, "key_columns") == integer(row, "all_columns")
        and (option(text_or_none(row, "options"), "deduplicate_items") or "on").lower() not in _OFF
        and all(flag(column, "equal_image") for column in columns)
    )


def _is_fixed(column: Row) -> bool:
    return integer(column, "fixed_size") > 0 and flag(column, "not_null")


def _lacking(row: Row, columns: Sequence[Row], activity: Activity) -> Withheld | None:
    reasons = {
        Withheld.EXPRESSION if why is Withheld.NO_STATISTICS and integer(column, "table_position") == 0 else why
        for column in columns
        if (
            why := lacking(
                column,
                rows_hidden=flag(row, "rows_hidden"),
                never_analyzed=activity.never_analyzed,
            )
        )
    }
    return next((reason for reason in Withheld if reason in reasons), None)


def _column(row: Row) -> Column:
    if _is_fixed(row):
        return fixed_column(row)
    null_frac = 0.0 if flag(row, "nulls_left_out") else None
    return measured_column(row, null_frac, computed=integer(row, "table_position") == 0)


def _describes_subset(columns: Sequence[Row], merges: bool) -> bool:
    """Whether statistics of the whole table hold for a partial index: its predicate only leaves out NULLs of
    a key, or no key has a duplicate or a size of its own."""
    if any(flag(column, "nulls_left_out") for column in columns):
        return True
    return all(_is_fixed(column) for column in columns) and (
        not merges or any(number(column, "n_distinct") <= _UNIQUE for column in columns)
    )


def _keys(
    row: Row,
    columns: Sequence[Row],
    described: Sequence[Column],
    merges: bool,
    sets: Sets,
    activity: Activity,
    rows: float,
) -> list[Keys]:
    """The key groups to reckon with: one where they are known, the fewest and the most where they are not."""
    if not merges:
        return [Keys(tuple(described))]
    table_rows = activity.live_rows or rows
    distinct = [
        _distinct(column, table_rows) + (1.0 if len(columns) > 1 and one.null_frac > 0 else 0.0)
        for column, one in zip(columns, described, strict=True)
    ]
    combined = None
    if len(columns) > 1:
        positions = sorted({integer(column, "table_position") for column in columns})
        name = ", ".join(str(position) for position in positions)
        combined = sets.get((integer(row, "table_oid"), name)) if len(positions) == len(columns) else None
    missed = max(
        missed_factor(
            table_rows,
            activity.pages,
            integer(column, "sampled_rows"),
            known,
            max(numbers(text_or_none(column, "frequencies")), default=0.0),
        )
        for column, known in zip(columns, distinct, strict=True)
    )
    frequencies: tuple[float, ...] = ()
    if len(columns) == 1 and not flag(row, "is_partial"):
        frequencies = tuple(numbers(text_or_none(columns[0], "frequencies")))
    present = rows * (1.0 - described[0].null_frac) if len(columns) == 1 else rows
    bounds = plausible_groups(distinct, combined, max(1.0, present), missed)
    return [Keys(tuple(described), groups, frequencies) for groups in sorted(set(bounds))]


def _distinct(column: Row, table_rows: float) -> float:
    n_distinct = number(column, "n_distinct")
    count = n_distinct if n_distinct > 0 else -n_distinct * table_rows
    return max(1.0, count if math.isfinite(count) else 1.0)


def _estimate(row: Row, size: int | None, answer: _Answer | Withheld) -> IndexBloat:
    names = IndexBloat(
        oid=integer(row, "oid"),
        schema=text(row, "schema"),
        relation=text(row, "relation"),
        index=text(row, "index"),
        index_bytes=size,
        withheld=answer if isinstance(answer, Withheld) else None,
    )
    if isinstance(answer, Withheld):
        return names
    disputed = answer.high - answer.low > _DISPUTE
    return IndexBloat(
        oid=names.oid,
        schema=names.schema,
        relation=names.relation,
        index=names.index,
        index_bytes=size,
        bloat_bytes=round(answer.low * size) if size is not None else None,
        bloat_ratio=answer.low,
        bloat_ratio_high=answer.high if disputed else None,
        method=answer.method,
        confidence=Confidence.LOW if disputed else answer.confidence,
    )
