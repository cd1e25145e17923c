"""Owns the rows of the checks that read what a statement says: only of those that take a share of the time.

Off by default: they ask for texts, which makes the server read the file of all of them, and a habit is not yet a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.statements.names import read_names
from dbwatch.engines.postgres.statements.shapes import counts_to_compare, skips_rows, takes_all_columns
from dbwatch.engines.postgres.statements.snapshot import Identity
from dbwatch.engines.postgres.statements.top import ordered
from dbwatch.engines.postgres.statements.watching import Watching
from dbwatch.model import RawRow

_MOST_READ = 50
_LEAST_CALLS = 10
_LEAST_SHARE = 0.005


def offset_pagination(context: ProbeContext) -> Sequence[RawRow]:
    """Statements that skip rows by OFFSET."""
    return _with_habit(context, skips_rows)


def select_star(context: ProbeContext) -> Sequence[RawRow]:
    """Statements that take every column of a table."""
    return _with_habit(context, takes_all_columns)


def count_for_existence(context: ProbeContext) -> Sequence[RawRow]:
    """Statements that count rows and compare the count with a value."""
    return _with_habit(context, counts_to_compare)


def _with_habit(context: ProbeContext, has_habit: Callable[[str], bool]) -> Sequence[RawRow]:
    watching = context.memory.of(Watching)
    shape, look = watching.looked(context)
    all_seconds = look.all.exec_seconds
    if all_seconds <= 0:
        return []
    candidates = [
        identity
        for identity in ordered(look.changes, lambda change: change.exec_seconds)[:_MOST_READ]
        if look.changes[identity].calls >= _LEAST_CALLS
        and look.changes[identity].exec_seconds >= _LEAST_SHARE * all_seconds
    ]
    said = watching.texts.of(context, shape.schema, candidates, context.check.name)
    # Only what is shown whole: the rest of a cut text, or what a utility statement does with it, may change its sense.
    shown = [
        identity
        for identity in candidates
        if said[identity].whole and (text := said[identity].text) is not None and has_habit(text)
    ]
    names = read_names(context, shown)
    rows: dict[Identity, dict[str, object]] = {}
    for identity in shown:
        change = look.changes[identity]
        rows[identity] = {
            **names.labels(identity),
            "time_ratio": change.exec_seconds / all_seconds,
            "spent_seconds": change.exec_seconds,
            "calls": change.calls,
            "mean_seconds": change.mean_seconds,
            "rows_per_call": change.rows / change.calls,
            "blocks_per_call": (change.shared_hit + change.shared_read) / change.calls,
        }
    return watching.described(context, shape, names, rows)
