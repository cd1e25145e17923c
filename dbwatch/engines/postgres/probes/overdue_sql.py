"""Owns the SQL that finds tables past their own vacuum trigger. Knows no verdict.

The counters decide first, and only for the tables with much to do what is dear: settings, locks, names.
"""

from __future__ import annotations

from typing import Final

CANDIDATES: Final = """
-- Needs no privilege. Reads two counters of every table. Temporary tables are their session's business, partitioned
-- ones hold no rows, shared catalogs would be told by every database.
select c.oid
from pg_catalog.pg_class as c
where c.relkind in ('r', 'm', 't')
  and c.relpersistence <> 't'
  and not c.relisshared
  and (
    pg_catalog.pg_stat_get_dead_tuples(c.oid) >= {least_dead}
    or c.relkind <> 't' and pg_catalog.pg_stat_get_ins_since_vacuum(c.oid) >= {least_inserted}
  )
"""

OVERDUE: Final = """
-- Needs no privilege; with pg_read_all_stats it sees busy workers and who holds a lock.
with candidate as materialized (
  select
    c.oid,
    c.relname,
    c.relnamespace,
    c.relkind,
    c.reloptions,
    case
      when c.reltuples > 0 then c.reltuples::float8
      else 0
    end as rows,
    -- From version 18 on only the share of pages that is not frozen counts for the insert trigger.
    case
      when c.relpages > 0 and pg_catalog.to_jsonb(c) ->> 'relallfrozen' is not null
        then greatest(1 - (pg_catalog.to_jsonb(c) ->> 'relallfrozen')::float8 / c.relpages, 0)
      else 1
    end as unfrozen
  from pg_catalog.pg_class as c
  where c.oid = any ({candidates})
),
member as (
  -- A TOAST table without settings of its own follows its table.
  select
    c.oid,
    c.rows,
    c.unfrozen,
    c.relkind = 't' as is_toast,
    coalesce(m.oid, c.oid) as table_oid,
    coalesce(m.relname, c.relname) as relation,
    coalesce(m.relnamespace, c.relnamespace) as namespace,
    coalesce(c.reloptions, m.reloptions) as options,
    c.relkind = 't' and c.reloptions is not null as has_own_options
  from candidate as c
  left join pg_catalog.pg_class as m on c.relkind = 't' and m.reltoastrelid = c.oid
),
setting as (
  select
    m.*,
    coalesce(o.enabled, true) as is_enabled,
    coalesce(o.base, g.base) + coalesce(o.scale, g.scale) * m.rows as plain_trigger,
    coalesce(o.most, g.most) as most,
    coalesce(o.insert_base, g.insert_base) as insert_base,
    coalesce(o.insert_scale, g.insert_scale) as insert_scale
  from member as m
  cross join (
    select
      pg_catalog.current_setting('autovacuum_vacuum_threshold')::float8 as base,
      pg_catalog.current_setting('autovacuum_vacuum_scale_factor')::float8 as scale,
      pg_catalog.current_setting('autovacuum_vacuum_max_threshold', true)::float8 as most,
      pg_catalog.current_setting('autovacuum_vacuum_insert_threshold')::float8 as insert_base,
      pg_catalog.current_setting('autovacuum_vacuum_insert_scale_factor')::float8 as insert_scale
  ) as g
  cross join lateral (
    -- Below these bounds a value means "as the server has it".
    select
      bool_and(x.option_value::bool) filter (where x.option_name = 'autovacuum_enabled') as enabled,
      max(x.option_value::float8) filter (
        where x.option_name = 'autovacuum_vacuum_threshold' and x.option_value::float8 >= 0
      ) as base,
      max(x.option_value::float8) filter (
        where x.option_name = 'autovacuum_vacuum_scale_factor' and x.option_value::float8 >= 0
      ) as scale,
      max(x.option_value::float8) filter (
        where x.option_name = 'autovacuum_vacuum_max_threshold' and x.option_value::float8 >= -1
      ) as most,
      max(x.option_value::float8) filter (
        where x.option_name = 'autovacuum_vacuum_insert_threshold' and x.option_value::float8 >= -1
      ) as insert_base,
      max(x.option_value::float8) filter (
        where x.option_name = 'autovacuum_vacuum_insert_scale_factor' and x.option_value::float8 >= 0
      ) as insert_scale
    from pg_catalog.pg_options_to_table(m.options) as x
  ) as o
),
counted as (
  select
    s.*,
    case
      when s.most >= 0 then least(s.plain_trigger, s.most)
      else s.plain_trigger
    end as trigger,
    case
      when s.insert_base >= 0 and not s.is_toast then s.insert_base + s.insert_scale * s.rows * s.unfrozen
    end as insert_trigger,
    pg_catalog.pg_stat_get_dead_tuples(s.oid)::float8 as dead,
    pg_catalog.pg_stat_get_ins_since_vacuum(s.oid)::float8 as inserted
  from setting as s
),
past as (
  select
    c.*,
    case
      when c.dead >= {least_dead} and c.dead > c.trigger then c.dead / greatest(c.trigger, 1)
    end as dead_ratio,
    case
      when c.inserted >= {least_inserted} and c.inserted > c.insert_trigger
        then c.inserted / greatest(c.insert_trigger, 1)
    end as insert_ratio
  from counted as c
),
worst as (
  select distinct on (p.table_oid) p.*
  from past as p
  where p.dead_ratio is not null
    or p.insert_ratio is not null
  order by
    p.table_oid,
    greatest(p.dead_ratio, p.insert_ratio) desc,
    p.is_toast
),
top as (
  select w.*
  from worst as w
  order by
    greatest(w.dead_ratio, w.insert_ratio) desc,
    w.table_oid
  limit {limit}
),
held as materialized (
  -- Locks that keep vacuum out; those of vacuum itself, and of the like, among them.
  select
    l.relation,
    l.pid,
    l.mode
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.granted
    and l.mode in (
      'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'
    )
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
)
select
  t.oid::int8 as oid,
  pg_catalog.current_database() as database,
  n.nspname as schema,
  t.relation,
  pg_catalog.format('%I.%I', n.nspname, t.relation) as quoted,
  pg_catalog.format('%I', pg_catalog.current_database()) as quoted_database,
  t.is_toast,
  t.dead,
  t.trigger,
  t.dead_ratio,
  t.inserted,
  t.insert_ratio,
  t.is_enabled,
  pg_catalog.current_setting('autovacuum')::bool as is_enabled_here,
  t.has_own_options,
  exists (
    select
    from pg_catalog.pg_stat_progress_vacuum as v
    where v.relid = t.oid
      and v.datname = pg_catalog.current_database()
  ) as is_running,
  blocker.pid as blocker_pid,
  blocker.mode as blocker_mode,
  coalesce(nullif(a.application_name, ''), a.backend_type, 'unnamed program') as blocker_name,
  a.usename as blocker_role,
  (
    select count(*)
    from pg_catalog.pg_stat_activity as w
    where w.backend_type = 'autovacuum worker'
  ) >= least(
    pg_catalog.current_setting('autovacuum_max_workers')::int,
    pg_catalog.current_setting('autovacuum_worker_slots', true)::int
  ) as are_workers_busy,
  (
    pg_catalog.pg_stat_get_tuples_inserted(t.oid)
    + pg_catalog.pg_stat_get_tuples_updated(t.oid)
    + pg_catalog.pg_stat_get_tuples_deleted(t.oid)
  )::float8 as writes,
  pg_catalog.pg_stat_get_mod_since_analyze(t.oid)::float8 as changed,
  extract(epoch from greatest(
    pg_catalog.pg_stat_get_last_vacuum_time(t.oid),
    pg_catalog.pg_stat_get_last_autovacuum_time(t.oid)
  ))::float8 as vacuumed_at,
  extract(epoch from greatest(
    pg_catalog.pg_stat_get_last_analyze_time(t.oid),
    pg_catalog.pg_stat_get_last_autoanalyze_time(t.oid)
  ))::float8 as analyzed_at,
  extract(epoch from pg_catalog.clock_timestamp())::float8 as asked_at
from top as t
join pg_catalog.pg_namespace as n on n.oid = t.namespace
left join lateral (
  select
    h.pid,
    h.mode
  from held as h
  where h.relation = t.oid
    and not exists (select from pg_catalog.pg_stat_progress_vacuum as v where v.pid = h.pid)
  order by h.pid
  limit 1
) as blocker on true
left join pg_catalog.pg_stat_activity as a on a.pid = blocker.pid
order by
  greatest(t.dead_ratio, t.insert_ratio) desc,
  t.table_oid
"""
