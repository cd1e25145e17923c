"""Owns the question behind seq_scan_large_table: how often large tables are read whole. Judges nothing."""

from __future__ import annotations

from typing import Final

from dbwatch.engines.postgres.probes.seldom import seldom

_SIGN: Final = """
-- needs no privilege
select c.oid
from pg_catalog.pg_class as c
where c.relkind in ('r', 'm')
  and c.relpages >= 1280
  and c.relpersistence <> 't'
"""

_QUESTION: Final = """
-- needs no privilege; reads the catalogue and the counters only
with part as materialized (
  select
    case
      when c.relispartition then pg_catalog.pg_partition_root(c.oid)::oid
      else c.oid
    end as root,
    c.oid,
    c.relpages,
    greatest(c.reltuples, 0)::float8 as tuples,
    pg_catalog.pg_stat_get_numscans(c.oid) as scans,
    pg_catalog.pg_stat_get_tuples_returned(c.oid) as rows_read
  from pg_catalog.pg_class as c
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  where c.relkind in ('r', 'm')
    and c.relpages >= 1280
    and c.relpersistence <> 't'
    and n.nspname <> 'information_schema'
    and n.nspname !~ '^pg_'
),
-- A partitioned table is one: its scans are those of its parts.
tree as materialized (
  select
    p.root,
    sum(p.relpages) * pg_catalog.current_setting('block_size')::float8 as relation_bytes,
    sum(p.tuples) as live_rows,
    sum(p.scans)::float8 as scans,
    sum(p.rows_read)::float8 as rows_read,
    pg_catalog.array_agg(p.oid) as tables
  from part as p
  group by p.root
  having sum(p.relpages) >= 12800
    and sum(p.tuples) > 0
  order by
    sum(p.rows_read) desc,
    p.root
  limit 41
)
select
  pg_catalog.current_database()::text as database,
  n.nspname::text as schema,
  c.relname::text as relation,
  t.rows_read,
  t.scans,
  t.live_rows,
  t.relation_bytes,
  (
    select sum(pg_catalog.pg_stat_get_numscans(i.indexrelid))::float8
    from pg_catalog.pg_index as i
    where i.indrelid = any (t.tables)
  ) as index_scans,
  (
    select extract(epoch from d.stats_reset)::float8
    from pg_catalog.pg_stat_database as d
    where d.datname = pg_catalog.current_database()
  ) as reset_at
from tree as t
join pg_catalog.pg_class as c on c.oid = t.root
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where not exists (
  select
  from pg_catalog.pg_depend as d
  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.objid = t.root
    and d.deptype = 'e'
)
order by
  t.rows_read desc,
  t.root
"""

seq_scan_large_table = seldom(_SIGN, _QUESTION)
