"""Owns the SQL that gathers facts about indexes, their key columns and multi-column distinct counts. Judges nothing."""

# ruff: noqa: S608 - only integers of our own are put into a statement

from __future__ import annotations

from collections.abc import Iterable

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


def largest_indexes(limit: int, min_pages: int) -> str:
    """The `limit` largest user indexes with the counters of their tables. Only these are measured."""
    return f"""
-- No privilege. AccessShareLock on the chosen indexes and their tables for the moment of
-- their measuring; where either is locked exclusively nothing is measured.
-- Size comes before every join: of tens of thousands of indexes few are large.
select
  i.oid::pg_catalog.int8 as oid,
  i.indrelid::pg_catalog.int8 as table_oid,
  n.nspname::pg_catalog.text as schema,
  t.relname::pg_catalog.text as relation,
  i.relname::pg_catalog.text as index,
  am.amname::pg_catalog.text as access_method,
  i.reltuples::pg_catalog.float8 as index_rows,
  i.reloptions::pg_catalog.text as options,
  i.is_locked,
  i.is_valid,
  i.indisunique as is_unique,
  i.is_partial,
  i.has_expressions,
  i.indnkeyatts::pg_catalog.int8 as key_columns,
  i.indnatts::pg_catalog.int8 as all_columns,
  case
    when not i.is_locked
    then pg_catalog.pg_relation_size(i.oid)
  end as main_bytes,
  case
    when not i.is_locked
    then pg_catalog.pg_relation_size(i.indrelid)
  end as table_bytes,
  {counted_pages("t")} as relpages,
  t.reltuples::pg_catalog.float8 as reltuples,
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
    x.indrelid,
    x.indisunique,
    x.indnatts,
    x.indnkeyatts,
    x.indisvalid and x.indisready as is_valid,
    x.indpred is not null as is_partial,
    x.indexprs is not null as has_expressions,
    c.oid in ({LOCKED_RELATIONS}) or x.indrelid in ({LOCKED_RELATIONS}) as is_locked
  from (
    select
      large.oid
    from pg_catalog.pg_class as large
    where large.relkind = 'i'
      and {counted_pages("large")} >= {int(min_pages)}
    union
    select
      grown.indexrelid
    from pg_catalog.pg_class as uncounted
    join pg_catalog.pg_index as grown
      on grown.indrelid = uncounted.oid
    where uncounted.relkind in ('r', 'm')
      and uncounted.relpages = 0
      and pg_catalog.pg_stat_get_live_tuples(uncounted.oid) > {int(min_pages)}
  ) as wanted
  join pg_catalog.pg_index as x
    on x.indexrelid = wanted.oid
  join pg_catalog.pg_class as c
    on c.oid = x.indexrelid
  join pg_catalog.pg_class as o
    on o.oid = x.indrelid
  where c.relkind = 'i'
    and c.relpersistence <> 't'
    and c.relnamespace not in ({SYSTEM_SCHEMAS})
  order by
    case
      when o.relpages <> 0
      then {counted_pages("c")}
      else greatest({counted_pages("c")}, pg_catalog.pg_stat_get_live_tuples(o.oid) / 400)
    end desc,
    c.oid
  limit {int(limit)}
) as i
join pg_catalog.pg_class as t
  on t.oid = i.indrelid
join pg_catalog.pg_namespace as n
  on n.oid = i.relnamespace
left join pg_catalog.pg_am as am
  on am.oid = i.relam
order by
  i.relpages desc,
  i.oid
"""


def index_columns(index_oids: Iterable[int], table_oids: Iterable[int]) -> str:
    """Every column of these indexes, included ones too, with what of its statistics may be seen.

    The statistics of a plain column are the table's, those of an expression stand under the index's own name.
    `equal_image` is what CREATE INDEX itself asks before it allows deduplication.
    """
    indexes = oid_list(index_oids)
    return f"""
-- SELECT on the columns (pg_read_all_data) shows their statistics; without it the rows say so.
-- AccessShareLock on the tables, by pg_get_expr.
with s as materialized ({chosen_statistics(f"{indexes}, {oid_list(table_oids)}")})
select
  x.indexrelid::pg_catalog.int8 as index_oid,
  a.attnum::pg_catalog.int8 as position,
  x.indkey[a.attnum - 1]::pg_catalog.int8 as table_position,
  a.attlen::pg_catalog.int8 as fixed_size,
  a.attalign::pg_catalog.text as align,
  a.attstorage::pg_catalog.text as storage,
  coalesce(b.attnotnull, false) as not_null,
  case
    when b.attnum is null
    then pg_catalog.has_column_privilege(x.indexrelid, a.attnum, 'select')
    else pg_catalog.has_column_privilege(x.indrelid, b.attnum, 'select')
  end as visible,
  s.attname is not null as has_statistics,
  exists (
    select
      1
    from s as h
    where h.schemaname = n.nspname
      and h.tablename = t.relname
      and h.attname = b.attname
      and h.inherited
  ) as has_inherited,
  s.null_frac::pg_catalog.float8 as null_frac,
  s.avg_width::pg_catalog.int8 as avg_width,
  s.n_distinct::pg_catalog.float8 as n_distinct,
  s.most_common_freqs::pg_catalog.text as frequencies,
  300 * coalesce(
    nullif(coalesce(b.attstattarget, a.attstattarget)::pg_catalog.int8, -1),
    pg_catalog.current_setting('default_statistics_target')::pg_catalog.int8
  ) as sampled_rows,
  x.indpred is not null
    and pg_catalog.pg_get_expr(x.indpred, x.indrelid)
      = '(' || pg_catalog.quote_ident(b.attname) || ' IS NOT NULL)' as nulls_left_out,
  a.attnum > x.indnkeyatts
    or exists (
      select
        1
      from pg_catalog.pg_opclass as oc
      join pg_catalog.pg_amproc as ap
        on ap.amprocfamily = oc.opcfamily
        and ap.amproclefttype = oc.opcintype
        and ap.amprocrighttype = oc.opcintype
        and ap.amprocnum = 4
      left join pg_catalog.pg_collation as co
        on co.oid = x.indcollation[a.attnum - 1]
      where oc.oid = x.indclass[a.attnum - 1]
        and (
          ap.amproc = 'pg_catalog.btequalimage'::pg_catalog.regproc
          or (
            ap.amproc = 'pg_catalog.btvarstrequalimage'::pg_catalog.regproc
            and coalesce(co.collisdeterministic, true)
          )
        )
    ) as equal_image,
  k.is_array,
  w.sizes
from pg_catalog.pg_index as x
join pg_catalog.pg_class as i
  on i.oid = x.indexrelid
join pg_catalog.pg_class as t
  on t.oid = x.indrelid
join pg_catalog.pg_namespace as n
  on n.oid = t.relnamespace
join pg_catalog.pg_attribute as a
  on a.attrelid = x.indexrelid
  and a.attnum > 0
left join pg_catalog.pg_attribute as b
  on b.attrelid = x.indrelid
  and b.attnum = x.indkey[a.attnum - 1]
  and b.attnum > 0
left join s
  on s.schemaname = n.nspname
  and s.tablename = case when b.attnum is null then i.relname else t.relname end
  and s.attname = case when b.attnum is null then a.attname else b.attname end
  and not s.inherited
left join lateral ({type_family("coalesce(b.atttypid, a.atttypid)")}) as k
  on true
left join lateral ({SAMPLED_SIZES}) as w
  on a.attlen < 0
  and k.kind is not null
where x.indexrelid in ({indexes})
order by
  x.indexrelid,
  a.attnum
"""


def distinct_sets(table_oids: Iterable[int]) -> str:
    """The n-distinct statistics of column sets (CREATE STATISTICS … (ndistinct)) that this role may see."""
    return f"""
-- Shown to the owner of a table and to superusers only (since 16.3 and its sisters). No lock.
select
  c.oid::pg_catalog.int8 as table_oid,
  d.key as positions,
  pg_catalog.max(d.value::pg_catalog.float8) as distinct_rows
from pg_catalog.pg_stats_ext as e
join pg_catalog.pg_namespace as n
  on n.nspname = e.schemaname
join pg_catalog.pg_class as c
  on c.relnamespace = n.oid
  and c.relname = e.tablename
cross join lateral pg_catalog.json_each_text(e.n_distinct::pg_catalog.text::pg_catalog.json) as d
where e.n_distinct is not null
  and c.oid in ({oid_list(table_oids)})
group by
  c.oid,
  d.key
"""
