"""Owns the pieces of SQL that tables and indexes share: quoting, locks, visible statistics, sampled lengths.

Every value put into a statement is an integer or quoted here. Column values never leave the server, only lengths.
"""

# ruff: noqa: S608 - only integers of our own and quoted names are put into a statement

from __future__ import annotations

from collections.abc import Iterable

LOCKED_RELATIONS = """
      select
        l.relation
      from pg_catalog.pg_locks as l
      where l.locktype = 'relation'
        and l.mode = 'AccessExclusiveLock'
        and l.database = (
          select
            d.oid
          from pg_catalog.pg_database as d
          where d.datname = pg_catalog.current_database()
        )
"""
"""Granted or waited for: either way a size function would queue behind it."""

SYSTEM_SCHEMAS = """
      select
        s.oid
      from pg_catalog.pg_namespace as s
      where s.nspname = 'information_schema'
        or s.nspname ~ '^pg_'
"""
"""Ours to leave alone: the catalogue, TOAST, temporary tables."""

TABLE_COUNTERS = """
  pg_catalog.pg_stat_get_live_tuples(t.oid) as live,
  pg_catalog.pg_stat_get_dead_tuples(t.oid) as dead,
  pg_catalog.pg_stat_get_mod_since_analyze(t.oid) as modified,
  pg_catalog.pg_stat_get_tuples_inserted(t.oid)
    + pg_catalog.pg_stat_get_tuples_updated(t.oid)
    + pg_catalog.pg_stat_get_tuples_deleted(t.oid) as changes,
  extract(epoch from pg_catalog.clock_timestamp() - greatest(
    pg_catalog.pg_stat_get_last_vacuum_time(t.oid),
    pg_catalog.pg_stat_get_last_autovacuum_time(t.oid),
    pg_catalog.pg_stat_get_last_analyze_time(t.oid),
    pg_catalog.pg_stat_get_last_autoanalyze_time(t.oid)
  ))::pg_catalog.float8 as counted_seconds,
  coalesce(
    greatest(
      pg_catalog.pg_stat_get_last_analyze_time(t.oid),
      pg_catalog.pg_stat_get_last_autoanalyze_time(t.oid)
    ) >= coalesce(
      greatest(
        pg_catalog.pg_stat_get_last_vacuum_time(t.oid),
        pg_catalog.pg_stat_get_last_autovacuum_time(t.oid)
      ),
      '-infinity'
    ),
    false
  ) as analyzed_last,
"""
"""What the cumulative statistics say of the table `t`, and how long ago a VACUUM or ANALYZE last counted it."""


def counted_pages(relation: str) -> str:
    """pg_class.relpages of an alias as int8. It is kept in an int4, where more than 16 TiB look negative."""
    return f"({relation}.relpages::pg_catalog.int8 & 4294967295)"


def quote_ident(name: str) -> str:
    """An identifier as SQL text."""
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """A string constant as SQL text, whatever standard_conforming_strings says."""
    quoted = text.replace("'", "''")
    return " E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"


def oid_list(oids: Iterable[int]) -> str:
    """The inside of an IN list; 0, which is no relation, where it would be empty."""
    return ", ".join(str(int(oid)) for oid in oids) or "0"


def chosen_statistics(oids: str) -> str:
    """The body of a CTE `s`: what this role may see in pg_stats of the relations of an `oid_list`.

    Names go in as an array made from the OIDs, which the planner turns into an index scan on pg_class; a join would
    read the statistics of the whole database.
    """
    return f"""
  select
    p.schemaname,
    p.tablename,
    p.attname,
    p.inherited,
    p.null_frac,
    p.avg_width,
    p.n_distinct,
    p.most_common_vals,
    p.most_common_freqs,
    p.histogram_bounds
  from pg_catalog.pg_stats as p
  where p.tablename = any (
    array(
      select
        r.relname
      from pg_catalog.pg_class as r
      where r.oid in ({oids})
    )
  )
"""


SAMPLED_SIZES = """
    select
      pg_catalog.string_agg(m.size::pg_catalog.text || ':' || m.weight::pg_catalog.text, ' ') as sizes
    from (
      select
        case k.kind
          when 'bytes' then (pg_catalog.octet_length(v.value) - 2) / 2
          when 'numeric' then pg_catalog.pg_column_size(v.value::pg_catalog.numeric) - 4
          when 'jsonb' then pg_catalog.pg_column_size(v.value::pg_catalog.jsonb) - 4
          else pg_catalog.octet_length(v.value)
        end as size,
        pg_catalog.round(pg_catalog.sum(v.weight)::pg_catalog.numeric, 6) as weight
      from (
        select
          u.value,
          u.weight
        from rows from (
          pg_catalog.unnest(s.most_common_vals::pg_catalog.text::pg_catalog.text[]),
          pg_catalog.unnest(s.most_common_freqs)
        ) as u (value, weight)
        union all
        select
          h.value,
          greatest(
            0,
            1 - s.null_frac - coalesce(
              (
                select
                  pg_catalog.sum(f.frequency)
                from pg_catalog.unnest(s.most_common_freqs) as f (frequency)
              ),
              0
            )
          ) / pg_catalog.count(*) over ()
        from pg_catalog.unnest(s.histogram_bounds::pg_catalog.text::pg_catalog.text[]) as h (value)
      ) as v
      where k.kind is not null
      group by 1
    ) as m
"""
"""The body of a lateral subquery: payload lengths and weights of the sampled values of `s`, of type family `k`."""


def type_family(type_oid: str) -> str:
    """SQL for how the text of a type's values tells their stored length; NULL where it does not."""
    return f"""
    select
      case
        when {type_oid} in (
          'pg_catalog.text'::pg_catalog.regtype,
          'pg_catalog.varchar'::pg_catalog.regtype,
          'pg_catalog.bpchar'::pg_catalog.regtype,
          'pg_catalog.name'::pg_catalog.regtype
        ) then 'text'
        when {type_oid} = 'pg_catalog.bytea'::pg_catalog.regtype
          and pg_catalog.current_setting('bytea_output') = 'hex' then 'bytes'
        when {type_oid} = 'pg_catalog.numeric'::pg_catalog.regtype then 'numeric'
        when {type_oid} = 'pg_catalog.jsonb'::pg_catalog.regtype then 'jsonb'
      end as kind,
      exists (
        select
          1
        from pg_catalog.pg_type as ty
        where ty.oid = {type_oid}
          and ty.typcategory = 'A'
      ) as is_array
"""
