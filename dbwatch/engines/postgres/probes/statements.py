"""Owns the rows of the checks that look at statements: which ones, and which numbers of them. Judges nothing.

What the numbers are made of, and how they stay true through resets and evictions, is `engines.postgres.statements`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.statements.counters import ZERO, Counters
from dbwatch.engines.postgres.statements.estimate import tail
from dbwatch.engines.postgres.statements.ledger import Look
from dbwatch.engines.postgres.statements.names import read_names
from dbwatch.engines.postgres.statements.reading import Shape
from dbwatch.engines.postgres.statements.snapshot import Identity
from dbwatch.engines.postgres.statements.top import ordered, places
from dbwatch.engines.postgres.statements.watching import Watching
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

OTHER = "other"
_KEEP = 20
_LEAST_SHARE, _LEAST_SECONDS, _LEAST_MEAN_SECONDS = 0.001, 1.0, 0.01
"""What earns a statement of our own role its series: that share of the window's time, at the first look so much in all,
or such a mean."""
_KEEP_SPILLING = 15
_KEEP_REPEATED = 10
_TINY_SECONDS = 0.001
_LEAST_WINDOW_SECONDS = 10.0
"""Sessions tell their transactions and their active time once a second: a shorter window compares unlike times."""
_LEAST_ACTIVE_SECONDS = 5.0


def slow_statement(context: ProbeContext) -> Sequence[RawRow]:
    """The statements with the most time in all and the highest mean, and the remainder of each database."""
    watching = context.memory.of(Watching)
    shape, look = watching.looked(context)
    series = watching.series(context.check.name, _KEEP)
    changes = _without_small_ones_of(_own_role(context), look)
    by_time = ordered(changes, lambda change: change.exec_seconds)
    by_mean = ordered(changes, lambda change: (change.mean_seconds or 0.0) if change.calls > 1 else 0.0)
    series.take(look, places(by_time, by_mean))
    names = read_names(context, series.named, series.others)
    rows: dict[Identity, dict[str, object]] = {
        identity: {
            **names.labels(identity),
            **_totals(context, shape, total),
            **_spread(look, identity),
            "complete": None if look.first else not look.losses.any,
        }
        for identity, total in series.named.items()
    }
    unnamed = dict.fromkeys(
        ("stddev_seconds", "p95_estimate_seconds", "p99_estimate_seconds", "p95_bound_seconds", "tail_suspected")
    )
    others = [
        {
            "database": names.database(dbid) if dbid else "",
            "role": "",
            "queryid": OTHER,
            **_totals(context, shape, rest),
            **unnamed,
            "complete": None if look.first else not look.losses.any,
            "query": None,
            "query_note": None,
            "remedy": None,
        }
        for dbid, rest in series.others.items()
    ]
    return [*watching.described(context, shape, names, rows), *others]


def statement_temp_writer(context: ProbeContext) -> Sequence[RawRow]:
    """The statements that write most to temporary files."""
    watching = context.memory.of(Watching)
    shape, look = watching.looked(context)
    series = watching.series(context.check.name, _KEEP_SPILLING)
    series.take(look, places(ordered(look.changes, lambda change: change.temp_written)))
    names = read_names(context, series.named)
    block = float(context.facts.settings.get("block_size", "8192"))
    rows: dict[Identity, dict[str, object]] = {}
    for identity, total in series.named.items():
        change = look.changes.get(identity, ZERO)
        rows[identity] = {
            **names.labels(identity),
            "written_bytes": total.temp_written * block,
            "read_bytes": total.temp_read * block,
            "calls": change.calls,
            "bytes_per_call": change.temp_written * block / change.calls if change.calls else None,
        }
    return watching.described(context, shape, names, rows)


def statement_n_plus_one(context: ProbeContext) -> Sequence[RawRow]:
    """The tiny statements that run most often, and how often for each transaction of their database."""
    watching = context.memory.of(Watching)
    shape, look = watching.looked(context)
    series = watching.series(context.check.name, _KEEP_REPEATED)
    series.take(look, places(ordered(look.changes, lambda change: change.top_calls if _is_tiny(change) else 0.0)))
    names = read_names(context, series.named)
    seconds = look.seconds
    rows: dict[Identity, dict[str, object]] = {}
    for identity, total in series.named.items():
        change = look.changes.get(identity, ZERO)
        all_calls = look.databases.get(identity.dbid, ZERO).top_calls
        transactions = look.transactions.get(identity.dbid)
        known = seconds is not None and seconds >= _LEAST_WINDOW_SECONDS and transactions is not None
        rows[identity] = {
            **names.labels(identity),
            "calls": total.top_calls,
            "calls_per_second": change.top_calls / seconds if seconds else None,
            "rows_per_call": change.rows / change.calls if change.calls else None,
            "mean_seconds": change.mean_seconds,
            "share_of_calls": change.top_calls / all_calls if all_calls else None,
            "calls_per_transaction": change.top_calls / max(1.0, transactions)
            if known and transactions is not None
            else None,
        }
    return watching.described(context, shape, names, rows)


def statement_evictions(context: ProbeContext) -> Sequence[RawRow]:
    """One row: how often the extension throws statements away, and how much of the work it still accounts for."""
    watching = context.memory.of(Watching)
    shape, look = watching.looked(context)
    deallocations = look.snapshot.deallocations
    if not shape.has_info or deallocations is None:
        raise Skipped(
            Reason.EXTENSION,
            "needs pg_stat_statements 1.9, which counts its evictions",
            remedy=f"ALTER EXTENSION pg_stat_statements UPDATE;  -- in database {context.facts.database}",
        )
    most = context.facts.settings.get("pg_stat_statements.max")
    most_entries = float(most) if most is not None and most.isdigit() else None
    return [
        {
            "deallocations": deallocations,
            "entries": float(len(look.snapshot.entries)),
            "coverage_ratio": _coverage(look),
            "most_entries": most_entries,
            "vanished": None if look.first else float(look.losses.vanished),
            "remedy": _more_room(most_entries),
        }
    ]


def _totals(context: ProbeContext, shape: Shape, total: Counters) -> dict[str, object]:
    """The exported counters. What the extension or a setting does not measure is NULL, not zero."""
    settings = context.facts.settings
    timed = settings.get("track_io_timing") == "on" or total.io_seconds > 0
    planned = settings.get("pg_stat_statements.track_planning") == "on" or total.plan_seconds > 0
    return {
        "exec_seconds": total.exec_seconds,
        "calls": total.calls,
        "rows": total.rows,
        "plan_seconds": total.plan_seconds if planned and "plan_seconds" in shape.sources else None,
        "blocks_hit": total.shared_hit,
        "blocks_read": total.shared_read,
        "blocks_written": total.shared_written,
        "wal_bytes": total.wal_bytes if "wal_bytes" in shape.sources else None,
        "io_seconds": total.io_seconds if timed else None,
    }


def _spread(look: Look, identity: Identity) -> dict[str, object]:
    """What the window says about single executions; nothing at the first look, which is no window."""
    change = ZERO if look.first else look.changes.get(identity, ZERO)
    slow_end = tail(change)
    return {
        "stddev_seconds": change.stddev_seconds,
        "p95_estimate_seconds": slow_end.p95_estimate_seconds,
        "p99_estimate_seconds": slow_end.p99_estimate_seconds,
        "p95_bound_seconds": slow_end.p95_bound_seconds,
        "tail_suspected": slow_end.suspected,
    }


def _own_role(context: ProbeContext) -> object:
    (row,) = context.fetch("select r.oid from pg_catalog.pg_roles as r where r.rolname = current_user", limit=1)
    return row["oid"]


def _without_small_ones_of(role: object, look: Look) -> Mapping[Identity, Counters]:
    """On an idle server all series would be of our own questions: `dbwatch_target_query_seconds_total` sums them up."""
    least = _LEAST_SHARE * look.seconds if look.seconds is not None else _LEAST_SECONDS
    return {
        identity: change
        for identity, change in look.changes.items()
        if identity.userid != role
        or change.exec_seconds >= least
        or (change.mean_seconds or 0.0) >= _LEAST_MEAN_SECONDS
    }


def _is_tiny(change: Counters) -> bool:
    mean = change.mean_seconds
    return mean is not None and mean < _TINY_SECONDS and change.rows <= change.calls


def _coverage(look: Look) -> float | None:
    """The share of the sessions' active time that the statements account for, those inside of functions not twice."""
    active = look.active_seconds
    if look.seconds is None or look.seconds < _LEAST_WINDOW_SECONDS or active is None or active < _LEAST_ACTIVE_SECONDS:
        return None
    return look.all.top_exec_seconds / active


def _more_room(most: float | None) -> str:
    wanted = 10_000 if most is None else int(min(max(2 * most, 5_000), 50_000))
    return f"ALTER SYSTEM SET pg_stat_statements.max = {wanted};  -- needs a restart; some 2 kB of memory an entry"
