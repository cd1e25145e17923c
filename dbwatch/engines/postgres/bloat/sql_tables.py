"""Owns the SQL that gathers facts about tables and their columns. Judges nothing."""

# ruff: noqa: S608 - only integers of our own and quoted names are put into a statement

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dbwatch.engines.postgres.bloat.sql_parts import (
    LOCKED_RELATIONS,
    SAMPLED_SIZES,
    SYSTEM_SCHEMAS,
    TABLE_COUNTERS,
    chosen_statistics,
    oid_list,
    quote_ident,
    type_family,
)


def largest_tables(limit: int, min_pages: int) -> str:
    """The `limit` largest user tables with their counters. Only these are measured."""
    return f"""
-- No privilege. AccessShareLock on the chosen tables for the moment of their measuring; locked ones are not measured.
select
  t.oid::pg_catalog.int8 as oid,
  n.nspname::pg_catalog.text as schema,
  t.relname::pg_catalog.text as relation,
  am.amname::pg_catalog.text as access_method,
  t.relpages::pg_catalog.int8 as relpages,
  t.reltuples::pg_catalog.float8 as reltuples,
  t.reloptions::pg_catalog.text as options,
  t.is_locked,
  case
    when not t.is_locked
    then pg_catalog.pg_relation_size(t.oid)
  end as main_bytes,
{TABLE_COUNTERS.strip()}
  pg_catalog.row_security_active(t.oid) as rows_hidden
from (
  select
    c.oid,
    c.relname,
    c.relnamespace,
    c.relam,
    c.relpages,
    c.reltuples,
    c.reloptions,
    c.oid in ({LOCKED_RELATIONS}) as is_locked
  from pg_catalog.pg_class as c
  where c.relkind in ('r', 'm')
    and c.relpersistence <> 't'
    and (
      c.relpages >= {int(min_pages)}
      or (c.relpages = 0 and pg_catalog.pg_stat_get_live_tuples(c.oid) > {int(min_pages)})
    )
    and c.relnamespace not in ({SYSTEM_SCHEMAS})
  order by
    case
      when c.relpages > 0
      then c.relpages
      else pg_catalog.pg_stat_get_live_tuples(c.oid) / 100
    end desc,
    c.oid
  limit {int(limit)}
) as t
join pg_catalog.pg_namespace as n
  on n.oid = t.relnamespace
left join pg_catalog.pg_am as am
  on am.oid = t.relam
order by
  t.relpages desc,
  t.oid
"""


def table_columns(oids: Sequence[int]) -> str:
    """Every attribute of these tables, dropped ones included, with what of its statistics may be seen."""
    return f"""
-- SELECT on the columns (pg_read_all_data) shows their statistics; without it the rows say so. No lock.
with s as materialized ({chosen_statistics(oid_list(oids))})
select
  a.attrelid::pg_catalog.int8 as relation_oid,
  a.attnum::pg_catalog.int8 as position,
  a.attlen::pg_catalog.int8 as fixed_size,
  a.attalign::pg_catalog.text as align,
  a.attstorage::pg_catalog.text as storage,
  a.attnotnull as not_null,
  a.attisdropped as dropped,
  a.attgenerated::pg_catalog.text = 'v' as virtual,
  case
    when a.attisdropped
    then false
    else pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'select')
  end as visible,
  s.attname is not null as has_statistics,
  exists (
    select
      1
    from s as i
    where i.schemaname = n.nspname
      and i.tablename = c.relname
      and i.attname = a.attname
      and i.inherited
  ) as has_inherited,
  s.null_frac::pg_catalog.float8 as null_frac,
  s.avg_width::pg_catalog.int8 as avg_width,
  k.is_array,
  w.sizes
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c
  on c.oid = a.attrelid
join pg_catalog.pg_namespace as n
  on n.oid = c.relnamespace
left join s
  on s.schemaname = n.nspname
  and s.tablename = c.relname
  and s.attname = a.attname
  and not s.inherited
left join lateral ({type_family("a.atttypid")}) as k
  on true
left join lateral ({SAMPLED_SIZES}) as w
  on a.attlen < 0
  and k.kind is not null
where a.attrelid in ({oid_list(oids)})
  and a.attnum > 0
order by
  a.attrelid,
  a.attnum
"""


def free_space(schema: str, wanted: Iterable[tuple[int, int, int]]) -> str:
    """The free space map of (oid, pages, stride) relations, a histogram each. Never reads the heap itself.

    The generator stands in a select list, where it streams; in FROM it would be written to a temporary file.
    """
    values = ", ".join(f"({int(oid)}, {int(pages)}, {int(stride)})" for oid, pages, stride in wanted)
    return f"""
-- EXECUTE on pg_freespace (pg_monitor has it). AccessShareLock on each table.
select
  h.oid::pg_catalog.int8 as oid,
  pg_catalog.string_agg(h.free || ':' || h.pages, ' ') as histogram
from (
  select
    p.oid,
    p.free,
    pg_catalog.count(*) as pages
  from (
    select
      b.oid,
      {quote_ident(schema)}.pg_freespace(b.oid::pg_catalog.oid::pg_catalog.regclass, b.block) as free
    from (
      select
        t.oid,
        pg_catalog.generate_series(0::pg_catalog.int8, t.pages - 1::pg_catalog.int8, t.stride::pg_catalog.int8)
          as block
      from (values {values}) as t (oid, pages, stride)
    ) as b
  ) as p
  group by
    p.oid,
    p.free
) as h
group by h.oid
"""


def visibility(schema: str, oids: Iterable[int]) -> str:
    """How many pages the real visibility map calls all-visible (pg_class.relallvisible may be long out of date)."""
    return f"""
-- EXECUTE on pg_visibility_map_summary (pg_monitor has it). AccessShareLock on each table; reads only the map.
select
  c.oid::pg_catalog.int8 as oid,
  v.all_visible::pg_catalog.int8 as all_visible
from pg_catalog.pg_class as c
cross join lateral {quote_ident(schema)}.pg_visibility_map_summary(c.oid::pg_catalog.regclass) as v
where c.oid in ({oid_list(oids)})
"""


def approximate(schema: str, oids: Iterable[int]) -> str:
    """pgstattuple_approx: reads every page that is not all-visible, so only what fits a page budget comes here."""
    return f"""
-- EXECUTE on pgstattuple_approx (pg_monitor has it). AccessShareLock on each table; reads heap pages.
select
  c.oid::pg_catalog.int8 as oid,
  v.scanned_percent::pg_catalog.float8 as scanned_percent,
  v.approx_tuple_count::pg_catalog.float8 as live,
  v.dead_tuple_count::pg_catalog.float8 as dead,
  v.approx_free_space::pg_catalog.float8 as free_bytes
from pg_catalog.pg_class as c
cross join lateral {quote_ident(schema)}.pgstattuple_approx(c.oid::pg_catalog.regclass) as v
where c.oid in ({oid_list(oids)})
"""
