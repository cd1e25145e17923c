"""Owns the question behind slow_vacuum: the vacuums that run now, and what holds them up. Judges nothing."""

from __future__ import annotations

from typing import Final

from dbwatch.engines.postgres.probes.seldom import seldom

_SIGN: Final = """
-- needs no privilege
select p.pid
from pg_catalog.pg_stat_get_progress_info('VACUUM') as p
where p.datid = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
"""

_QUESTION: Final = """
-- Privilege: pg_read_all_stats. Only this database's own vacuums: the names of others' tables are not known here.
-- The columns of memory are named otherwise before 17, and delay_time is new in 18: so they are read by name.
with running as (
  select
    p.pid,
    p.relid,
    p.phase,
    p.heap_blks_total,
    p.heap_blks_scanned,
    p.index_vacuum_count,
    coalesce(
      (pg_catalog.to_jsonb(p) ->> 'dead_tuple_bytes')::float8,
      (pg_catalog.to_jsonb(p) ->> 'num_dead_tuples')::float8 * 6
    ) as dead_bytes,
    coalesce(
      (pg_catalog.to_jsonb(p) ->> 'max_dead_tuple_bytes')::float8,
      (pg_catalog.to_jsonb(p) ->> 'max_dead_tuples')::float8 * 6
    ) as most_dead_bytes,
    (pg_catalog.to_jsonb(p) ->> 'delay_time')::float8 / 1000 as delayed_seconds,
    a.backend_type,
    a.usename,
    a.application_name,
    a.xact_start,
    a.wait_event_type = 'BufferPin' as is_pinned
  from pg_catalog.pg_stat_progress_vacuum as p
  join pg_catalog.pg_stat_activity as a on a.pid = p.pid
  where p.datname = pg_catalog.current_database()
)
select
  pg_catalog.current_database() as database,
  n.nspname as schema,
  c.relname as relation,
  case
    when r.xact_start > pg_catalog.clock_timestamp() then 0
    else coalesce(extract(epoch from pg_catalog.clock_timestamp() - r.xact_start), 0)::float8
  end as running_seconds,
  r.heap_blks_scanned::float8 / nullif(r.heap_blks_total, 0) as scanned_ratio,
  r.index_vacuum_count as index_passes,
  case
    when r.is_pinned then 1
    else 0
  end as waits_for_page,
  r.dead_bytes,
  r.most_dead_bytes,
  r.delayed_seconds,
  r.pid,
  r.phase,
  case
    when c.relkind = 't' then pg_catalog.format(
      'TOAST table of %s',
      (select m.oid::pg_catalog.regclass from pg_catalog.pg_class as m where m.reltoastrelid = c.oid)
    )
    else pg_catalog.concat(n.nspname, '.', c.relname)
  end as what,
  case
    when r.backend_type = 'autovacuum worker' then 'autovacuum'
    else pg_catalog.concat('vacuum of ', coalesce(r.usename, r.backend_type))
  end as who,
  case
    when r.is_pinned and holder.pid is not null then pg_catalog.concat(
      'waits for a page, perhaps that of ', holder.usename, ' (pid ', holder.pid, ', ', holder.application_name, ', ',
      holder.state, ')'
    )
    when r.is_pinned then 'waits for a page that somebody holds'
    when r.index_vacuum_count > 1 then pg_catalog.concat(
      'its memory is too small for all dead rows, so it has read the indexes ', r.index_vacuum_count, ' times'
    )
    else pg_catalog.concat('is ', r.phase)
  end as trouble,
  case
    when r.is_pinned and holder.state like 'idle in transaction%' then pg_catalog.format(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND state = %L'
      ' AND state_change < now() - interval ''5 minutes'';',
      holder.pid,
      holder.state
    )
    when r.is_pinned
      then 'SELECT a.pid, a.usename, a.application_name, a.state, a.xact_start'
        ' FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid WHERE l.relation = '
        || r.relid::text || ' ORDER BY a.xact_start;'
    -- More than 1 GB would do nothing before version 17, and is much for each of several workers.
    when r.index_vacuum_count > 1 and r.backend_type = 'autovacuum worker' and memory.megabytes < 1024
      then pg_catalog.format(
        'ALTER SYSTEM SET autovacuum_work_mem = ''%sMB''; SELECT pg_reload_conf();'
        '  -- each of up to %s workers may take that',
        least(memory.megabytes * 4, 1024),
        pg_catalog.current_setting('autovacuum_max_workers')
      )
    when r.index_vacuum_count > 1 and r.backend_type = 'autovacuum worker' then pg_catalog.format(
      'ALTER TABLE %s SET (%sautovacuum_vacuum_scale_factor = 0.01);'
      '  -- it has %s MB already: let it come earlier, with less to remove',
      coalesce(
        (select m.oid::pg_catalog.regclass from pg_catalog.pg_class as m where m.reltoastrelid = c.oid),
        c.oid::pg_catalog.regclass
      ),
      case when c.relkind = 't' then 'toast.' else '' end,
      memory.megabytes
    )
    when r.index_vacuum_count > 1
      then 'SET maintenance_work_mem = ''1GB'';  -- in the session of the next VACUUM, if the machine has that to spare'
    else 'SELECT pid, phase, heap_blks_scanned, heap_blks_total, index_vacuum_count FROM pg_stat_progress_vacuum;'
  end as remedy
from running as r
join pg_catalog.pg_class as c on c.oid = r.relid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
  -- Both settings are in kB; -1 means as for any maintenance.
  select
    greatest(
      case
        when max(s.setting) filter (where s.name = 'autovacuum_work_mem') <> '-1'
          then max(s.setting) filter (where s.name = 'autovacuum_work_mem')
        else max(s.setting) filter (where s.name = 'maintenance_work_mem')
      end::int8 / 1024,
      1
    ) as megabytes
  from pg_catalog.pg_settings as s
  where r.index_vacuum_count > 1
    and s.name in ('autovacuum_work_mem', 'maintenance_work_mem')
) as memory
left join lateral (
  -- Who holds a page is not told; it can only be a session that uses the table, so the oldest of those.
  select
    a.pid,
    a.usename,
    coalesce(nullif(a.application_name, ''), 'unnamed program') as application_name,
    a.state
  from pg_catalog.pg_locks as l
  join pg_catalog.pg_stat_activity as a on a.pid = l.pid
  where r.is_pinned
    and l.relation = r.relid
    and l.locktype = 'relation'
    and l.granted
    and l.pid <> r.pid
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
  order by
    a.xact_start,
    a.pid
  limit 1
) as holder on true
order by
  running_seconds desc,
  r.pid
"""

slow_vacuum = seldom(_SIGN, _QUESTION)
