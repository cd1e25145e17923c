"""Owns since when the counters of this server, and those of one index, can be believed. Judges nothing.

Counters start over at a crash, at a reset and on a new standby; a promoted standby brings only its own; those of an
index cannot be older than the index.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbwatch.engines.postgres.indexes.sightings import Sightings
from dbwatch.engines.postgres.probe import ProbeContext

TRUSTED = """
trusted as (
  select
    greatest(
      d.stats_reset,
      -- A crash resets both, a person perhaps one: the older of them is not younger than the crash.
      (
        select least(a.stats_reset, b.stats_reset)
        from pg_catalog.pg_stat_archiver as a
        cross join pg_catalog.pg_stat_bgwriter as b
      )
    ) as since
  from pg_catalog.pg_stat_database as d
  where d.datname = pg_catalog.current_database()
)"""

WRITTEN_BY = (
    # The id in full: the last one with these 32 bits. Ids below 3 mark what has always been there.
    "(case when i.xmin::text::int8 < 3 then 0 else x.next - (x.next - i.xmin::text::int8 & 4294967295) end)"
).replace("x.next", "pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8")
"""The transaction that wrote the catalogue row `i` of an index."""

_NOW = """
-- needs no privilege
select
  pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::int8 as oldest_running_xid,
  extract(epoch from pg_catalog.now())::float8 as now_seconds
"""

_TIMELINE = """
-- needs no privilege; the first timeline has never been promoted
select ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int as timeline
"""

_PROMOTED = """
-- Privilege: pg_monitor. Every promotion leaves a history file in pg_wal.
select extract(epoch from max(w.modification))::float8 as promoted_at
from pg_catalog.pg_ls_waldir() as w
where w.name like '%.history'
"""


def created(context: ProbeContext) -> str:
    """When the catalogue row `i` of an index was written, as far as the server keeps that."""
    if context.facts.settings.get("track_commit_timestamp") == "on":
        return "pg_catalog.pg_xact_commit_timestamp(i.xmin)"
    return "null::timestamptz"


def promoted_at(context: ProbeContext) -> float | None:
    """When this server became the primary, in Unix seconds; None when it always was, or we may not look."""
    if "pg_monitor" not in context.facts.privileges or context.facts.flavour == "aurora":
        return None
    if context.fetch(_TIMELINE, limit=1)[0]["timeline"] == 1:
        return None
    found = context.fetch(_PROMOTED, limit=1)[0]["promoted_at"]
    return found if isinstance(found, float) else None


@dataclass(frozen=True, slots=True)
class Observer:
    """Tells of each index how long its counters have counted, at one look."""

    now: float
    sightings: Sightings

    @classmethod
    def at_work(cls, context: ProbeContext) -> Observer:
        """Remembers where the transaction ids are now, too."""
        itself = context.fetch(_NOW, limit=1)[0]
        now, sightings = number(itself["now_seconds"]), context.memory.of(Sightings)
        sightings.saw(int(number(itself["oldest_running_xid"])), now)
        return cls(now, sightings)

    def seconds(self, since: object, written_by: object) -> float:
        """Since the counters can be believed, or the index was made as far as we saw it, whichever is later."""
        made = self.sightings.written_by(int(number(written_by)), self.now)
        return self.now - (number(since) if made is None else max(number(since), made))


def number(value: object) -> float:
    """A number of a row."""
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return value
