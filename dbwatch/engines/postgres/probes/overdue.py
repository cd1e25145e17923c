"""Owns finding tables past their own vacuum trigger, since when, and what keeps autovacuum away. Judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.overdue_sql import CANDIDATES, OVERDUE
from dbwatch.engines.postgres.probes.seldom import oids
from dbwatch.engines.postgres.probes.service import Need, Wait, Waits
from dbwatch.engines.postgres.probes.waiting import look, oid_of
from dbwatch.engines.postgres.rows import number
from dbwatch.model import RawRow

_LEAST_DEAD: Final = 10_000
_LEAST_INSERTED: Final = 100_000
_FAR_PAST: Final = 3.0

_HORIZON: Final = (
    "SELECT pid, usename, application_name, state, xact_start, age(backend_xmin) FROM pg_stat_activity"
    " WHERE backend_xmin IS NOT NULL ORDER BY age(backend_xmin) DESC LIMIT 5;  -- see xmin_horizon_held"
)

_PREPARED: Final = "SELECT gid, owner, database, prepared FROM pg_prepared_xacts ORDER BY prepared;"

_BLOCKER: Final = "SELECT pid, usename, application_name, state, xact_start FROM pg_stat_activity"


class _OverdueWaits(Waits):
    """What this check remembers."""


def vacuum_overdue(context: ProbeContext) -> Sequence[RawRow]:
    """The tables of this database farthest past their vacuum trigger; the worse of a table and its TOAST table."""
    least = {"least_dead": _LEAST_DEAD, "least_inserted": _LEAST_INSERTED}
    candidates, limit = oids(context, CANDIDATES.format(**least)), context.check.limit
    found: Sequence[RawRow] = ()
    if candidates is not None:
        found = context.fetch(OVERDUE.format(**least, candidates=candidates, limit=limit + 1), limit=limit)
    now, waits = look(context, _OverdueWaits, found, _need)
    return [_told(row, waits[oid_of(row)], now) for row in found]


def _need(row: RawRow) -> Need:
    dead, trigger = number(row["dead"]) or 0.0, number(row["trigger"]) or 0.0
    changed, vacuumed_at, analyzed_at = (number(row[name]) for name in ("changed", "vacuumed_at", "analyzed_at"))
    known_since, was_left = None, False
    if not row["is_toast"] and analyzed_at is not None and changed is not None and dead - changed > trigger:
        # Every change since leaves one dead row at most: so many were dead already then, or left by the vacuum since.
        known_since = max(analyzed_at, vacuumed_at or 0.0)
        was_left = vacuumed_at is not None and vacuumed_at > analyzed_at
    visits = [at for at in (vacuumed_at, analyzed_at) if at is not None]
    ratio = number(row["dead_ratio"]) or 0.0
    presumed = max(visits) if visits and ratio >= _FAR_PAST and not row["is_running"] else None
    return Need(dead, trigger, vacuumed_at, number(row["writes"]) or 0.0, known_since, presumed, was_left)


def _told(row: RawRow, wait: Wait, now: float) -> RawRow:
    cause, remedy = _cause(row, wait)
    ratios = [ratio for ratio in (number(row["dead_ratio"]), number(row["insert_ratio"])) if ratio is not None]
    return {
        "database": row["database"],
        "schema": row["schema"],
        "relation": row["relation"],
        "past_ratio": max(ratios),
        "overdue_seconds": max(now - wait.since, 0.0),
        "dead_rows": row["dead"],
        "inserted_rows": row["inserted"],
        "autovacuum_on": bool(row["is_enabled"]) and bool(row["is_enabled_here"]),
        "vacuum_running": row["is_running"],
        "part": "TOAST table of " if row["is_toast"] else "",
        "vacuumed_seconds": _since(number(row["vacuumed_at"]), now),
        "cause": cause,
        "remedy": remedy,
    }


def _cause(row: RawRow, wait: Wait) -> tuple[str, str]:
    """Why nobody vacuums it, in words, and the statement against that."""
    table, where = row["quoted"], f"  -- in database {row['quoted_database']}"
    if not row["is_enabled_here"]:
        return "autovacuum is off for the whole server", "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();"
    if not row["is_enabled"]:
        prefix = "toast." if row["has_own_options"] else ""
        return "autovacuum is off for this table", f"ALTER TABLE {table} RESET ({prefix}autovacuum_enabled);{where}"
    if row["is_running"]:
        return "a vacuum works on it", "SELECT * FROM pg_stat_progress_vacuum;"
    if wait.left:
        return "vacuum comes and cannot remove them, an old snapshot is in the way", _HORIZON
    if row["blocker_mode"] is not None and row["blocker_pid"] is None:
        return f"{row['blocker_mode']} of a prepared transaction keeps vacuum out", _PREPARED
    if row["blocker_pid"] is not None:
        who = f"{row['blocker_role'] or row['blocker_name']}, pid {row['blocker_pid']}, {row['blocker_name']}"
        return f"{row['blocker_mode']} keeps vacuum out ({who})", f"{_BLOCKER} WHERE pid = {row['blocker_pid']};"
    if row["are_workers_busy"]:
        return "all autovacuum workers are busy elsewhere", f"VACUUM (ANALYZE) {table};{where}"
    return "autovacuum has not come", f"VACUUM (ANALYZE) {table};{where}"


def _since(at: float | None, now: float) -> float | None:
    return None if at is None else max(now - at, 0.0)
