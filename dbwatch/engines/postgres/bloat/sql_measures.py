"""Owns the SQL that looks into heaps by extensions: both maps and pgstattuple. Judges nothing."""

# ruff: noqa: S608 - only integers of our own and quoted names are put into a statement

from __future__ import annotations

from collections.abc import Iterable

from dbwatch.engines.postgres.bloat.sql_parts import oid_list, quote_ident, quote_literal


def may_call(functions: Iterable[tuple[str, str]]) -> str:
    """Of (schema, signature) pairs, those that exist and may be executed: rows of `signature`."""
    values = ", ".join(
        f"({quote_literal(signature)}, {quote_literal(schema)}, {quote_literal(f'{quote_ident(schema)}.{signature}')})"
        for schema, signature in functions
    )
    return f"""
-- No privilege, no lock. The schema comes first: to_regprocedure raises where its use is not granted.
select
  f.signature
from (values {values}) as f (signature, schema, qualified)
join pg_catalog.pg_namespace as n
  on n.nspname = f.schema
where case
    when pg_catalog.has_schema_privilege(n.oid, 'usage')
    then pg_catalog.has_function_privilege(pg_catalog.to_regprocedure(f.qualified), 'execute')
    else false
  end
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
