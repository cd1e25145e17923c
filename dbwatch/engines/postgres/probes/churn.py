"""Owns the question behind queue_table_churn: the tables that are emptied again and again. Judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.seldom import oids
from dbwatch.model import RawRow

_SETTINGS: Final = (
    "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0"
)

_BUSY: Final = """
-- needs no privilege; asks the counters of tables with more than a few pages, or never vacuumed
select c.oid
from pg_catalog.pg_class as c
where c.relkind = 'r'
  and c.relpersistence <> 't'
  and (
    c.relpages >= 8
    or c.reltuples < 0
  )
  -- Only grows, so a table that is measured once stays measured.
  and pg_catalog.pg_stat_get_tuples_deleted(c.oid) >= 100000
"""

_QUESTION: Final = """
-- needs no privilege
with busy as materialized (
  select
    case
      when c.relispartition then pg_catalog.pg_partition_root(c.oid)::oid
      else c.oid
    end as root,
    c.oid,
    greatest(c.relpages, 0) as pages
  from pg_catalog.pg_class as c
  where c.oid = any ({busy})
    -- Asked for above, it would have the server go through an index of all relations, which takes twice as long.
    and c.oid >= 16384
),
whole as (
  select
    b.root,
    sum(b.pages) as pages,
    sum(pg_catalog.pg_stat_get_live_tuples(b.oid))::float8 as live_rows,
    sum(pg_catalog.pg_stat_get_dead_tuples(b.oid))::float8 as dead_rows,
    sum(pg_catalog.pg_stat_get_tuples_inserted(b.oid))::float8 as inserted,
    sum(pg_catalog.pg_stat_get_tuples_deleted(b.oid))::float8 as deleted
  from busy as b
  group by b.root
)
select
  pg_catalog.current_database()::text as database,
  n.nspname::text as schema,
  c.relname::text as relation,
  w.live_rows,
  w.dead_rows,
  w.inserted,
  w.deleted,
  w.deleted / greatest(w.dead_rows, 1) as rounds,
  w.pages * pg_catalog.current_setting('block_size')::float8 as relation_bytes,
  case
    when c.relkind = 'p' then pg_catalog.format(
      'SELECT relid FROM pg_partition_tree(%L) WHERE isleaf;  -- for each of them: ALTER TABLE ... SET ({settings})',
      pg_catalog.format('%I.%I', n.nspname, c.relname)
    )
    else pg_catalog.format(
      'ALTER TABLE %I.%I SET ({settings});',
      n.nspname,
      c.relname
    )
  end as remedy
from whole as w
join pg_catalog.pg_class as c on c.oid = w.root
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname <> 'information_schema'
  and n.nspname !~ '^pg_'
  and not exists (
    select
    from pg_catalog.pg_depend as d
    where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
      and d.deptype = 'e'
      and (
        d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.objid = c.oid
        or d.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
        and d.objid = n.oid
      )
  )
order by
  w.dead_rows desc,
  w.root
"""


def queue_table_churn(context: ProbeContext) -> Sequence[RawRow]:
    """The tables of this database from which most rows were deleted, partitioned ones as one."""
    busy = oids(context, _BUSY)
    if busy is None:
        return ()
    return context.fetch(_QUESTION.format(busy=busy, settings=_SETTINGS), limit=context.check.limit)
