"""Owns the numbers of single tables and indexes, of the few in each database that matter most. Judges nothing.

Who matters is the largest, the most written and the most read since the counters started: these orders change slowly,
and the few are sticky, so that series do not come and go. All relations are placed by what the catalog and the counters
say, which reads no file and waits for no lock; only the few are then asked for more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import whole
from dbwatch.engines.postgres.sticky import Sticky
from dbwatch.model import RawRow

PATIENCE: Final = 12
"""Looks; an hour at the default interval."""
ORDERS: Final = 3

_LOCKED: Final = """
with locked as materialized (
  -- Who asks the size of a relation that somebody holds or awaits in access exclusive mode waits in that queue.
  select
    l.relation
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.mode = 'AccessExclusiveLock'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
)"""
_ORDER: Final = """
select
  f.oid::int8 as oid,
  pg_catalog.row_number() over (order by f.{column} desc, f.oid) as place
from (
  select
    m.*
  from measured as m
  where m.{column} > 0
  order by
    m.{column} desc,
    m.oid
  limit {{reach}}
) as f"""
_PLACES: Final = """
-- Needs no privilege, takes no lock on a relation. One pass over the catalog and a few counters of each relation. Who
-- is not among the first by any measure is out of reach.
with measured as materialized ({measured}
)""" + "\nunion all".join(_ORDER.format(column=column) for column in ("size", "first", "second"))
_TABLES: Final = """
    select
      c.oid,
      c.relpages::int8 & 4294967295 as size,
      pg_catalog.pg_stat_get_tuples_inserted(c.oid)
        + pg_catalog.pg_stat_get_tuples_updated(c.oid)
        + pg_catalog.pg_stat_get_tuples_deleted(c.oid) as first,
      pg_catalog.pg_stat_get_blocks_fetched(c.oid) as second
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm')
      and c.relpersistence <> 't'
      and c.oid >= 16384
      and n.nspname <> 'information_schema'"""
_INDEXES: Final = """
    select
      c.oid,
      c.relpages::int8 & 4294967295 as size,
      pg_catalog.pg_stat_get_blocks_fetched(c.oid) - pg_catalog.pg_stat_get_blocks_hit(c.oid) as first,
      pg_catalog.pg_stat_get_numscans(c.oid) as second
    from pg_catalog.pg_class as c
    where c.relkind = 'i'
      and c.relpersistence <> 't'
      and c.oid >= 16384"""
_TABLE_ROWS: Final = """
select
  pg_catalog.current_database()::text as database,
  n.nspname::text as schema,
  c.relname::text as relation,
  case
    when c.oid in (select l.relation from locked as l) then (c.relpages::int8 & 4294967295) * b.size
    else coalesce(pg_catalog.pg_relation_size(c.oid)::float8, (c.relpages::int8 & 4294967295) * b.size)
  end as table_bytes,
  (t.relpages::int8 & 4294967295) * b.size as toast_bytes,
  i.pages * b.size as indexes_bytes,
  pg_catalog.pg_stat_get_live_tuples(c.oid)::float8 as live_rows,
  pg_catalog.pg_stat_get_dead_tuples(c.oid)::float8 as dead_rows,
  extract(epoch from pg_catalog.now() - greatest(
    pg_catalog.pg_stat_get_last_vacuum_time(c.oid),
    pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)
  ))::float8 as vacuum_seconds,
  extract(epoch from pg_catalog.now() - greatest(
    pg_catalog.pg_stat_get_last_analyze_time(c.oid),
    pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)
  ))::float8 as analyze_seconds,
  pg_catalog.pg_stat_get_numscans(c.oid)::float8 as scans,
  pg_catalog.pg_stat_get_tuples_returned(c.oid)::float8 as scanned_rows,
  i.scans as index_scans,
  pg_catalog.pg_stat_get_tuples_fetched(c.oid)::float8 + coalesce(i.fetched, 0) as fetched_rows,
  pg_catalog.pg_stat_get_tuples_inserted(c.oid)::float8 as inserted,
  pg_catalog.pg_stat_get_tuples_updated(c.oid)::float8 as updated,
  pg_catalog.pg_stat_get_tuples_hot_updated(c.oid)::float8 as stayed,
  pg_catalog.pg_stat_get_tuples_deleted(c.oid)::float8 as deleted,
  pg_catalog.pg_stat_get_blocks_hit(c.oid)::float8 as blocks_hit,
  (pg_catalog.pg_stat_get_blocks_fetched(c.oid) - pg_catalog.pg_stat_get_blocks_hit(c.oid))::float8 as blocks_read,
  i.count as indexes
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join pg_catalog.pg_class as t on t.oid = c.reltoastrelid
cross join lateral (
  select
    sum(x.relpages::int8 & 4294967295)::float8 as pages,
    count(*)::float8 as count,
    sum(pg_catalog.pg_stat_get_numscans(x.oid))::float8 as scans,
    sum(pg_catalog.pg_stat_get_tuples_fetched(x.oid))::float8 as fetched
  from pg_catalog.pg_index as k
  join pg_catalog.pg_class as x on x.oid = k.indexrelid
  where k.indrelid = c.oid
) as i
cross join (select pg_catalog.current_setting('block_size')::float8 as size) as b
where c.oid = any ('{{{members}}}'::pg_catalog.oid[])
order by
  n.nspname,
  c.relname
"""
_INDEX_ROWS: Final = """
select
  pg_catalog.current_database()::text as database,
  n.nspname::text as schema,
  o.relname::text as relation,
  c.relname::text as index,
  case
    when c.oid in (select l.relation from locked as l) then (c.relpages::int8 & 4294967295) * b.size
    else coalesce(pg_catalog.pg_relation_size(c.oid)::float8, (c.relpages::int8 & 4294967295) * b.size)
  end as index_bytes,
  pg_catalog.pg_stat_get_numscans(c.oid)::float8 as scans,
  pg_catalog.pg_stat_get_tuples_returned(c.oid)::float8 as entries_read,
  pg_catalog.pg_stat_get_tuples_fetched(c.oid)::float8 as fetched_rows,
  pg_catalog.pg_stat_get_blocks_hit(c.oid)::float8 as blocks_hit,
  (pg_catalog.pg_stat_get_blocks_fetched(c.oid) - pg_catalog.pg_stat_get_blocks_hit(c.oid))::float8 as blocks_read
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
join pg_catalog.pg_index as k on k.indexrelid = c.oid
join pg_catalog.pg_class as o on o.oid = k.indrelid
cross join (select pg_catalog.current_setting('block_size')::float8 as size) as b
where c.oid = any ('{{{members}}}'::pg_catalog.oid[])
order by
  n.nspname,
  c.relname
"""


class DetailMemory:
    """Who is named, by check and database; of those databases alone that there were at the last look."""

    def __init__(self) -> None:
        self.named: dict[tuple[str, str], Sticky[int]] = {}

    def of(self, check: str, database: str, most: int, databases: Collection[str]) -> Sticky[int]:
        """The few of a database. Another number of `databases` leaves another room for each."""
        for gone in [key for key in self.named if key[1] not in databases and key[1] != database]:
            del self.named[gone]
        known = self.named.get((check, database))
        if known is None or known.most != most:
            sticky = Sticky[int](max(1, most // (ORDERS + 1)), patience=PATIENCE, most=most)
            sticky.members.update(dict.fromkeys(list(known.members)[:most], 0) if known is not None else {})
            self.named[check, database] = known = sticky
        return known


def cold_updates(context: ProbeContext) -> Sequence[RawRow]:
    """One row for each of the tables that matter most in this database."""
    return _few(context, _TABLES, _TABLE_ROWS)


def index_cache_misses(context: ProbeContext) -> Sequence[RawRow]:
    """One row for each of the indexes that matter most in this database."""
    return _few(context, _INDEXES, _INDEX_ROWS)


def _few(context: ProbeContext, measured: str, rows: str) -> Sequence[RawRow]:
    databases = sum(context.target.watches_database(name) for name in context.facts.databases)
    room = max(1, context.check.limit // max(1, databases))
    few = context.memory.of(DetailMemory).of(context.check.name, context.facts.database, room, context.facts.databases)
    asked = _PLACES.format(measured=measured, reach=2 * few.keep)
    places: dict[int, int] = {}
    for row in context.fetch(asked, limit=2 * few.keep * ORDERS):
        oid, place = whole(row["oid"]), whole(row["place"])
        if oid is not None and place is not None:
            places[oid] = min(place, places.get(oid, place))
    few.choose(places)
    if not few.members:
        return []
    return context.fetch(_LOCKED + rows.format(members=_list(few)), limit=few.most)


def _list(few: Sticky[int]) -> str:
    return ",".join(str(oid) for oid in sorted(few.members))
