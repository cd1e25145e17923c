"""Owns the SQL that gathers facts about tables and their columns. Judges nothing."""

# ruff: noqa: S608 - only integers of our own and quoted names are put into a statement

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.bloat.sql_parts import (
    LOCKED_RELATIONS,
    SAMPLED_SIZES,
    SYSTEM_SCHEMAS,
    TABLE_COUNTERS,
    chosen_statistics,
    counted_pages,
    oid_list,
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
  t.relpages,
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
    {counted_pages("c")} as relpages,
    c.reltuples,
    c.reloptions,
    c.oid in ({LOCKED_RELATIONS}) as is_locked
  from pg_catalog.pg_class as c
  where c.relkind in ('r', 'm')
    and c.relpersistence <> 't'
    and (
      {counted_pages("c")} >= {int(min_pages)}
      or (c.relpages = 0 and pg_catalog.pg_stat_get_live_tuples(c.oid) > {int(min_pages)})
    )
    and c.relnamespace not in ({SYSTEM_SCHEMAS})
  order by
    case
      when c.relpages <> 0
      then {counted_pages("c")}
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
  a.atthasmissing as default_not_stored,
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


def largest_toast(limit: int, min_pages: int) -> str:
    """The `limit` largest TOAST relations of user tables, by the names of these. Only they are measured.

    Nothing ever analyzes a TOAST relation: VACUUM alone counts it.
    """
    return f"""
-- No privilege. AccessShareLock on the chosen TOAST relations for the moment of their measuring; where one or its
-- table is locked exclusively nothing is measured.
select
  t.oid::pg_catalog.int8 as oid,
  n.nspname::pg_catalog.text as schema,
  t.table_name::pg_catalog.text as relation,
  t.relpages,
  t.reltuples::pg_catalog.float8 as reltuples,
  t.is_locked,
  case
    when not t.is_locked
    then pg_catalog.pg_relation_size(t.oid)
  end as main_bytes,
{TABLE_COUNTERS.strip().rstrip(",")}
from (
  select
    c.oid,
    c.relpages,
    c.reltuples,
    o.relname as table_name,
    o.relnamespace,
    c.oid in ({LOCKED_RELATIONS}) or o.oid in ({LOCKED_RELATIONS}) as is_locked
  from (
    select
      large.oid,
      {counted_pages("large")} as relpages,
      large.reltuples
    from pg_catalog.pg_class as large
    where large.relkind = 't'
      and large.relpersistence <> 't'
      and (
        {counted_pages("large")} >= {int(min_pages)}
        or (
          large.relpages = 0
          and large.reltuples < 0
          and pg_catalog.pg_stat_get_live_tuples(large.oid) > {int(min_pages)}
        )
      )
    order by
      2 desc,
      1
    limit {int(limit)} + 100
  ) as c
  join pg_catalog.pg_depend as d
    on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.objid = c.oid
    and d.objsubid = 0
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.deptype = 'i'
  join pg_catalog.pg_class as o
    on o.oid = d.refobjid
  where o.relnamespace not in ({SYSTEM_SCHEMAS})
  order by
    c.relpages desc,
    c.oid
  limit {int(limit)}
) as t
join pg_catalog.pg_namespace as n
  on n.oid = t.relnamespace
order by
  t.relpages desc,
  t.oid
"""
