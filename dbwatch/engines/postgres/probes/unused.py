"""Owns finding indexes without a scan on any node, and since when the counters can be believed. Judges nothing.

Counters start over at a crash, at a reset and on a new standby, and a promoted standby brings only its own. An index
that some constraint, replica or partition needs is no candidate however seldom it is read. A standby only tells the
primary what it scans, when both are watched by this process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from dbwatch.engines.postgres.indexes.nodes import MOST_SCANNED, Elsewhere, Scanned, StandbyNotes, elsewhere
from dbwatch.engines.postgres.indexes.trust import TRUSTED, WRITTEN_BY, Observer, created, number, promoted_at
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import unused_sql
from dbwatch.engines.postgres.probes.seldom import ANY_INDEX, has
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason, Role

_STALE_SCAN_SECONDS = 7 * 86_400


def unused_index(context: ProbeContext) -> Sequence[RawRow]:
    """The largest indexes of this database without a scan; a partitioned index is one, with all its parts."""
    if context.facts.role is Role.STANDBY:
        _tell(context)
        raise Skipped(Reason.ROLE, "runs on a primary; what this standby scans is counted there when both are watched")
    observer = Observer.at_work(context)
    others = _others(context, _feeds(context))
    return [_row(row, observer, others) for row in _candidates(context, others)]


def _row(row: RawRow, observer: Observer, others: Elsewhere) -> RawRow:
    found = dict(row)
    observed = observer.seconds(found.pop("since_seconds"), found.pop("xid"))
    return {**found, "observed_seconds": observed, "nodes": others.words, "unseen_standbys": others.unseen}


def _candidates(context: ProbeContext, others: Elsewhere) -> Sequence[RawRow]:
    if not has(context, ANY_INDEX):
        return ()
    since = [at for at in (promoted_at(context), others.since_seconds) if at is not None]
    sql = unused_sql.UNUSED.format(
        trusted=TRUSTED,
        candidates=unused_sql.CANDIDATES,
        stale_scan_seconds=_STALE_SCAN_SECONDS,
        limit=context.check.limit + 1,
        since=repr(max(since)) if since else "null",
        elsewhere_oids=_array(others.last_scans),
        elsewhere_scans=_array(others.last_scans.values()),
        last_scan=_last_scan(context),
        is_used=_is_used(context),
        created=created(context),
        xid=WRITTEN_BY,
    )
    return context.fetch(sql, limit=context.check.limit)


def _others(context: ProbeContext, feeds: int) -> Elsewhere:
    expect = context.target.expect
    return elsewhere(
        context.cluster,
        context.facts.database,
        feeds=feeds,
        expected=max(len(expect.replicas), expect.replica_count or 0),
        within_seconds=2 * context.check.every + context.check.timeout,
    )


def _tell(context: ProbeContext) -> None:
    """What this standby scans in this database, for the primary's next look."""
    if context.cluster is None:
        return
    feeds = _feeds(context)
    sql = unused_sql.SCANNED.format(
        trusted=TRUSTED, candidates=unused_sql.CANDIDATES, last_scan=_last_scan(context), limit=MOST_SCANNED + 1
    )
    found = context.fetch(sql, limit=1)[0]
    oids = cast("list[int]", found["oids"] or [])
    last_scans = cast("list[float | None]", found["last_scans"] or [])
    scanned = Scanned(
        number(found["since_seconds"]), dict(zip(oids, last_scans, strict=True)), len(oids) <= MOST_SCANNED
    )
    facts = context.facts
    notes = context.memory.of(StandbyNotes).noted(facts.database, scanned, facts.databases, feeds)
    context.cluster.tell(context.target.name, notes)


def _last_scan(context: ProbeContext) -> str:
    return "pg_catalog.pg_stat_get_lastscan(i.indexrelid)" if _dates_scans(context) else "null::timestamptz"


def _is_used(context: ProbeContext) -> str:
    counted = "pg_catalog.pg_stat_get_numscans(m.oid) > 0 or pg_catalog.pg_stat_get_tuples_returned(m.oid) > 0"
    if not _dates_scans(context):
        return counted
    stale = f"pg_catalog.now() - pg_catalog.make_interval(secs => {_STALE_SCAN_SECONDS})"
    return f"coalesce(pg_catalog.pg_stat_get_lastscan(m.oid) >= {stale}, {counted})"


def _dates_scans(context: ProbeContext) -> bool:
    return context.facts.version >= (16,)


def _feeds(context: ProbeContext) -> int:
    return int(number(context.fetch(unused_sql.FEEDS, limit=1)[0]["feeds"]))


def _array(numbers: Iterable[float | None]) -> str:
    return "'{" + ",".join("NULL" if number is None else repr(number) for number in numbers) + "}'"
