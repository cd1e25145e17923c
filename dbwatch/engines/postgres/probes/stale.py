"""Owns finding tables whose planner statistics no longer describe them, and since when. Judges nothing.

Three kinds: changed far past their own analyze trigger; never analyzed though big (as after pg_upgrade, when nothing
was counted and autovacuum sees no reason to come); partitioned, which autovacuum never analyzes as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.seldom import oids
from dbwatch.engines.postgres.probes.service import Need, Waits
from dbwatch.engines.postgres.probes.waiting import look, oid_of
from dbwatch.engines.postgres.rows import number
from dbwatch.model import RawRow

_LEAST_CHANGED: Final = 10_000
_LEAST_PARTITIONED: Final = 100_000
_FAR_PAST: Final = 10.0

_CANDIDATES: Final = """
-- Needs no privilege. Reads two counters of every table. Temporary tables are not autovacuum's business, it never
-- analyzes pg_statistic, and shared catalogs would be told by every database.
select c.oid
from pg_catalog.pg_class as c
where c.relpersistence <> 't'
  and (
    c.relkind = 'p'
    or c.relkind in ('r', 'm')
    and not c.relisshared
    and c.oid <> 'pg_catalog.pg_statistic'::pg_catalog.regclass
    and (
      pg_catalog.pg_stat_get_mod_since_analyze(c.oid) >= {least_changed}
      or c.reltuples < 0 and pg_catalog.pg_stat_get_tuples_returned(c.oid) >= {least_changed}
    )
  )
"""

_SQL: Final = """
-- needs no privilege
with candidate as materialized (
  select
    c.oid,
    c.relname,
    c.relnamespace,
    c.reloptions,
    c.reltuples::float8 as rows,
    pg_catalog.pg_stat_get_mod_since_analyze(c.oid)::float8 as changed
  from pg_catalog.pg_class as c
  where c.oid = any ({candidates})
    and c.relkind <> 'p'
),
plain as (
  select
    c.oid,
    c.relname,
    c.relnamespace,
    c.rows,
    c.changed,
    coalesce(o.enabled, true) as is_enabled,
    coalesce(o.base, pg_catalog.current_setting('autovacuum_analyze_threshold')::float8)
      + coalesce(o.scale, pg_catalog.current_setting('autovacuum_analyze_scale_factor')::float8)
      * case
        when c.rows > 0 then c.rows
        else 0
      end as trigger
  from candidate as c
  cross join lateral (
    select
      bool_and(x.option_value::bool) filter (where x.option_name = 'autovacuum_enabled') as enabled,
      max(x.option_value::float8) filter (
        where x.option_name = 'autovacuum_analyze_threshold' and x.option_value::float8 >= 0
      ) as base,
      max(x.option_value::float8) filter (
        where x.option_name = 'autovacuum_analyze_scale_factor' and x.option_value::float8 >= 0
      ) as scale
    from pg_catalog.pg_options_to_table(c.reloptions) as x
  ) as o
),
changed as (
  select
    'changed' as kind,
    p.oid,
    p.relname,
    p.relnamespace,
    p.rows,
    p.changed,
    p.trigger,
    p.is_enabled
  from plain as p
  where p.changed >= {least_changed}
    and p.changed > p.trigger
),
never as (
  -- Rows a sequential scan returns, on the average, are at most those of the table.
  select
    'never' as kind,
    p.oid,
    p.relname,
    p.relnamespace,
    p.rows,
    pg_catalog.pg_stat_get_tuples_returned(p.oid)::float8
      / nullif(pg_catalog.pg_stat_get_numscans(p.oid), 0) as changed,
    null::float8 as trigger,
    p.is_enabled
  from plain as p
  where p.rows < 0
    and p.changed <= p.trigger
    -- One that was analyzed and then emptied by TRUNCATE has no rows on record either.
    and pg_catalog.pg_stat_get_last_analyze_time(p.oid) is null
    and pg_catalog.pg_stat_get_last_autoanalyze_time(p.oid) is null
),
tree as (
  with recursive branch as (
    select
      c.oid as root,
      c.oid
    from pg_catalog.pg_partitioned_table as k
    join pg_catalog.pg_class as c on c.oid = k.partrelid
    where not c.relispartition
      and c.relpersistence <> 't'
    union all
    select
      b.root,
      i.inhrelid
    from branch as b
    join pg_catalog.pg_inherits as i on i.inhparent = b.oid
  )
  select
    b.root,
    sum(c.reltuples) filter (where c.reltuples > 0)::float8 as rows
  from branch as b
  join pg_catalog.pg_class as c on c.oid = b.oid
  where c.relkind = 'r'
  group by b.root
),
partitioned as (
  select
    'partitioned' as kind,
    c.oid,
    c.relname,
    c.relnamespace,
    c.reltuples::float8 as rows,
    case
      when c.reltuples < 0 then t.rows
      else abs(t.rows - c.reltuples)
    end as changed,
    null::float8 as trigger,
    true as is_enabled
  from tree as t
  join pg_catalog.pg_class as c on c.oid = t.root
  where t.rows >= {least_partitioned}
    and (c.reltuples < 0 or abs(t.rows - c.reltuples) > greatest(c.reltuples / 2, {least_partitioned}))
),
found as (
  select * from changed
  union all
  select * from never where changed >= {least_changed}
  union all
  select * from partitioned
)
select
  f.oid::int8 as oid,
  pg_catalog.current_database() as database,
  n.nspname as schema,
  f.relname as relation,
  pg_catalog.format('%I.%I', n.nspname, f.relname) as quoted,
  pg_catalog.format('%I', pg_catalog.current_database()) as quoted_database,
  f.kind,
  f.rows,
  f.changed,
  f.changed / greatest(f.trigger, 1) as past_ratio,
  f.trigger,
  f.is_enabled,
  pg_catalog.current_setting('autovacuum')::bool as is_enabled_here,
  (
    pg_catalog.pg_stat_get_tuples_inserted(f.oid)
    + pg_catalog.pg_stat_get_tuples_updated(f.oid)
    + pg_catalog.pg_stat_get_tuples_deleted(f.oid)
  )::float8 as writes,
  extract(epoch from greatest(
    pg_catalog.pg_stat_get_last_analyze_time(f.oid),
    pg_catalog.pg_stat_get_last_autoanalyze_time(f.oid)
  ))::float8 as analyzed_at,
  extract(epoch from pg_catalog.clock_timestamp())::float8 as asked_at
from found as f
join pg_catalog.pg_namespace as n on n.oid = f.relnamespace
where not exists (
  select
  from pg_catalog.pg_stat_progress_analyze as a
  where a.relid = f.oid
    and a.datname = pg_catalog.current_database()
)
order by
  f.changed desc,
  f.oid
"""


class _StaleWaits(Waits):
    """What this check remembers."""


def statistics_stale(context: ProbeContext) -> Sequence[RawRow]:
    """The tables of this database whose statistics are missing or old, those with most changed rows first."""
    candidates = oids(context, _CANDIDATES.format(least_changed=_LEAST_CHANGED))
    found: Sequence[RawRow] = ()
    if candidates is not None:
        least = {"least_changed": _LEAST_CHANGED, "least_partitioned": _LEAST_PARTITIONED}
        found = context.fetch(_SQL.format(**least, candidates=candidates), limit=context.check.limit)
    now, waits = look(context, _StaleWaits, found, _need)
    return [_told(row, max(now - waits[oid_of(row)].since, 0.0), now) for row in found]


def _need(row: RawRow) -> Need:
    analyzed_at = number(row["analyzed_at"])
    is_far = (number(row["past_ratio"]) or 0.0) >= _FAR_PAST and row["kind"] == "changed"
    return Need(
        amount=number(row["changed"]) or 0.0,
        trigger=number(row["trigger"]) or 0.0,
        served_at=analyzed_at,
        writes=number(row["writes"]) or 0.0,
        presumed_since=analyzed_at if is_far else None,
    )


def _told(row: RawRow, waiting: float, now: float) -> RawRow:
    analyzed_at = number(row["analyzed_at"])
    kind = str(row["kind"])
    is_on = bool(row["is_enabled"]) and bool(row["is_enabled_here"])
    cause, remedy = _cause(row, kind)
    return {
        "database": row["database"],
        "schema": row["schema"],
        "relation": row["relation"],
        "changed_rows": row["changed"],
        "past_ratio": row["past_ratio"] if kind == "changed" else None,
        "stale_seconds": waiting,
        "autovacuum_comes": is_on and kind == "changed",
        "analyzed_rows": None if (number(row["rows"]) or 0.0) < 0 else row["rows"],
        "analyzed_seconds": None if analyzed_at is None else max(now - analyzed_at, 0.0),
        "cause": cause,
        "remedy": remedy,
    }


def _cause(row: RawRow, kind: str) -> tuple[str, str]:
    """What is wrong, in words, and the statement against that."""
    table, where = row["quoted"], f"  -- in database {row['quoted_database']}"
    analyze = f"ANALYZE {table};{where}"
    if kind == "partitioned":
        if (number(row["rows"]) or 0.0) < 0:
            return "never analyzed as a whole, and autovacuum does not do that for a partitioned table", analyze
        return "its partitions have changed, and autovacuum does not analyze a partitioned table as a whole", analyze
    if kind == "never":
        return "never analyzed, and no change counted that would bring autovacuum", analyze
    if not row["is_enabled_here"]:
        return "autovacuum is off for the whole server", "ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();"
    if not row["is_enabled"]:
        return "autovacuum is off for this table", f"ALTER TABLE {table} RESET (autovacuum_enabled);{where}"
    return "autovacuum has not come", analyze
