"""Owns finding indexes without a scan, and since when their counters can be believed. Judges nothing.

Counters start over at a crash, at a reset and on a new standby, and a promoted standby brings only its own. An index
that some constraint, replica or partition needs is no candidate however seldom it is read.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.model import RawRow

_MIN_PAGES = 128
_STALE_SCAN_SECONDS = 7 * 86_400

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

_SQL = """
-- Needs no privilege. Lock: asks the size of no relation that somebody holds or awaits in access exclusive mode.
with trusted as (
  select
    greatest(
      d.stats_reset,
      -- A crash resets all three, a person perhaps one: the oldest of them is not younger than the crash.
      (
        select least(a.stats_reset, b.stats_reset, w.stats_reset)
        from pg_catalog.pg_stat_archiver as a
        cross join pg_catalog.pg_stat_bgwriter as b
        cross join pg_catalog.pg_stat_wal as w
      ),
      pg_catalog.to_timestamp({promoted_at}::float8)
    ) as since
  from pg_catalog.pg_stat_database as d
  where d.datname = pg_catalog.current_database()
),
member as (
  select
    i.indexrelid,
    i.indrelid,
    case
      when c.relispartition then pg_catalog.pg_partition_root(i.indexrelid)::oid
      else i.indexrelid
    end as root,
    c.relpages,
    pg_catalog.pg_stat_get_numscans(i.indexrelid) as scans,
    pg_catalog.pg_stat_get_tuples_returned(i.indexrelid) as tuples,
    {last_scan} as last_scan,
    {created} as created,
    pg_catalog.pg_stat_get_numscans(i.indrelid) as sequential_scans,
    sum(pg_catalog.pg_stat_get_numscans(i.indexrelid)) over (partition by i.indrelid) as table_index_scans,
    pg_catalog.pg_stat_get_tuples_inserted(i.indrelid)
      + pg_catalog.pg_stat_get_tuples_updated(i.indrelid)
      - pg_catalog.pg_stat_get_tuples_hot_updated(i.indrelid) as writes,
    -- Needed for something else than scans, not usable at all, or of a kind that may not count its scans.
    i.indisunique
      or i.indisprimary
      or i.indisexclusion
      or i.indisreplident
      or i.indisclustered
      or not (i.indisvalid and i.indisready and i.indislive)
      or c.relam >= 16384
      or exists (
        select
        from pg_catalog.pg_constraint as k
        where k.conindid = i.indexrelid
      )
      or exists (
        select
        from pg_catalog.pg_constraint as k
        where k.conrelid = i.indrelid
          and k.contype = 'f'
          and (i.indkey::int2[])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey
      )
      or exists (
        select
        from pg_catalog.pg_depend as x
        where x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
          and x.objid in (i.indexrelid, i.indrelid)
          and x.deptype = 'e'
      ) as is_kept
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as c on c.oid = i.indexrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind = 'i'
    and c.relpersistence <> 't'
    and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
),
tree as (
  select
    m.root,
    sum(m.relpages) as pages,
    pg_catalog.array_agg(m.indexrelid) as members,
    pg_catalog.array_agg(m.indrelid) as tables,
    greatest(max(m.last_scan), max(m.created)) as younger_than,
    sum(m.writes) as writes
  from member as m
  group by m.root
  having not bool_or(m.is_kept)
    and sum(m.relpages) >= {min_pages}
    -- A table that nobody reads proves nothing about its indexes.
    and sum(m.sequential_scans + m.table_index_scans) > 0
    and (
      sum(m.scans) = 0 and sum(m.tuples) = 0
      or max(m.last_scan) < pg_catalog.now() - pg_catalog.make_interval(secs => {stale_scan_seconds})
    )
  order by
    sum(m.relpages) desc,
    m.root
  limit {limit}
),
locked as materialized (
  select l.relation
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.mode = 'AccessExclusiveLock'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
)
select
  pg_catalog.current_database() as database,
  n.nspname as schema,
  r.relname as relation,
  c.relname as index,
  case
    when exists (select from locked as l where l.relation = any (t.members || t.tables))
      then t.pages * pg_catalog.current_setting('block_size')::float8
    else (
      select sum(pg_catalog.pg_relation_size(m.oid))::float8
      from pg_catalog.unnest(t.members) as m(oid)
    )
  end as index_bytes,
  extract(epoch from pg_catalog.now() - greatest(s.since, t.younger_than))::float8 as observed_seconds,
  t.writes,
  case
    when c.relkind = 'I' then 'DROP INDEX'
    else 'DROP INDEX CONCURRENTLY'
  end as statement
from tree as t
join pg_catalog.pg_index as i on i.indexrelid = t.root
join pg_catalog.pg_class as c on c.oid = t.root
join pg_catalog.pg_class as r on r.oid = i.indrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join trusted as s
order by
  index_bytes desc
"""


def unused_index(context: ProbeContext) -> Sequence[RawRow]:
    """The largest indexes of this database without a scan; a partitioned index is one, with all its parts."""
    facts = context.facts
    has_last_scan = facts.version >= (16,)
    has_commit_times = facts.settings.get("track_commit_timestamp") == "on"
    promoted_at = _promoted_at(context)
    sql = _SQL.format(
        promoted_at="null" if promoted_at is None else repr(promoted_at),
        last_scan="pg_catalog.pg_stat_get_lastscan(i.indexrelid)" if has_last_scan else "null::timestamptz",
        created="pg_catalog.pg_xact_commit_timestamp(i.xmin)" if has_commit_times else "null::timestamptz",
        min_pages=_MIN_PAGES,
        stale_scan_seconds=_STALE_SCAN_SECONDS,
        limit=context.check.limit,
    )
    return context.fetch(sql, limit=context.check.limit)


def _promoted_at(context: ProbeContext) -> float | None:
    """When this server became the primary, in Unix seconds; None when it always was, or we may not look."""
    if "pg_monitor" not in context.facts.privileges or context.facts.flavour == "aurora":
        return None
    if context.fetch(_TIMELINE, limit=1)[0]["timeline"] == 1:
        return None
    found = context.fetch(_PROMOTED, limit=1)[0]["promoted_at"]
    return found if isinstance(found, float) else None
