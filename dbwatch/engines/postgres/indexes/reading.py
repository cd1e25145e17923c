"""Owns reading the definitions of those indexes that may stand in for each other. Judges nothing.

The server drops all that have no partner with the same leading keys; what is dear to read is read of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from dbwatch.engines.postgres.indexes.definition import IndexDefinition
from dbwatch.engines.postgres.probe import Fetch
from dbwatch.model import RawRow

_MOST = 2000
_MOST_PAIRS = 300

_SQL = r"""
-- needs no privilege; reads the catalogue only
with usual as materialized (
  -- Below 16384 are the system's own. Materialized, so that the two sides are hashed and not looked up one by one.
  select
    i.indexrelid,
    i.indrelid,
    i.indkey[0] as first_key,
    i.indclass[0] as first_class,
    i.indkey::int2[] as keys,
    i.indnkeyatts,
    i.indnatts,
    i.indisunique
  from pg_catalog.pg_index as i
  where i.indexrelid >= 16384
    and i.indisvalid
    and i.indisready
    and i.indislive
),
pair as materialized (
  -- An operator class belongs to one access method. What may not be judged is left out when few are left.
  select
    narrow.indexrelid as narrow,
    narrow.indrelid,
    wide.indexrelid as wide
  from usual as narrow
  join usual as wide
    on wide.indrelid = narrow.indrelid
    and wide.first_key = narrow.first_key
    and wide.first_class = narrow.first_class
    {pairing}
  where wide.indexrelid <> narrow.indexrelid
    and wide.indnkeyatts >= narrow.indnkeyatts
    and (not narrow.indisunique or wide.indisunique and wide.indnkeyatts = narrow.indnkeyatts)
    and wide.keys[0:narrow.indnkeyatts - 1] = narrow.keys[0:narrow.indnkeyatts - 1]
),
usable as materialized (
  select
    p.narrow,
    p.wide
  from pair as p
  join pg_catalog.pg_class as r on r.oid = p.indrelid
  where r.relpersistence <> 't'
    and r.relnamespace <> all (
      array(
        select n.oid
        from pg_catalog.pg_namespace as n
        where n.nspname = 'information_schema'
          or n.nspname ~ '^pg_'
      )
    )
    -- What goes with a partitioned index cannot go alone: its parent is judged.
    and not (
      r.relispartition
      and (
        select c.relispartition
        from pg_catalog.pg_class as c
        where c.oid = p.narrow
      )
    )
  -- Of more than can be judged those of the largest tables: all that follows is dear.
  order by
    r.relpages desc,
    r.oid,
    p.narrow,
    p.wide
  limit {most}
),
chosen as materialized (
  select p.narrow as oid from usable as p
  union
  select p.wide from usable as p
),
named as materialized (
  select
    k.conindid,
    bool_or(k.contype = 'f') as is_referenced,
    max(k.conname::text) filter (where k.contype <> 'f') as constraint_name,
    max(k.conexclop::text) filter (where k.contype = 'x') as exclusion_operators,
    coalesce(bool_or(k.condeferred) filter (where k.contype <> 'f'), false) as is_initially_deferred
  from pg_catalog.pg_constraint as k
  where k.contype in ('p', 'u', 'x', 'f')
    and k.conindid in (select x.oid from chosen as x)
  group by k.conindid
)
select
  i.indexrelid::int8 as oid,
  i.indrelid::int8 as table_oid,
  n.nspname::text as schema,
  r.relname::text as relation,
  c.relname::text as index,
  m.amname::text as access_method,
  i.indkey::int2[] as columns,
  i.indnkeyatts::int as key_count,
  i.indclass::oid[] as operator_classes,
  array(
    select a.attoptions::text
    from pg_catalog.pg_attribute as a
    where a.attrelid = i.indexrelid
      and a.attnum between 1 and i.indnkeyatts
    order by a.attnum
  ) as operator_class_options,
  i.indcollation::oid[] as collations,
  i.indoption::int2[] as directions,
  -- Where a node stood in its statement, and whether a cast was written or implied, makes no other expression of it.
  pg_catalog.btrim(
    pg_catalog.regexp_replace(
      i.indexprs::text,
      ' :(location|list_start|list_end|funcformat|relabelformat|coerceformat|convertformat|row_format) -?\d+',
      '',
      'g'
    ),
    '()'
  ) as expressions,
  pg_catalog.regexp_replace(
    i.indpred::text,
    ' :(location|list_start|list_end|funcformat|relabelformat|coerceformat|convertformat|row_format) -?\d+',
    '',
    'g'
  ) as predicate,
  coalesce(c.reloptions::text, '') as storage_options,
  i.indisunique as is_unique,
  i.indimmediate as is_immediate,
  -- a column of version 15
  coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) as is_nulls_not_distinct,
  i.indisprimary as is_primary,
  i.indisexclusion as is_exclusion,
  k.exclusion_operators,
  coalesce(k.is_initially_deferred, false) as is_initially_deferred,
  i.indisreplident as is_replica_identity,
  i.indisclustered as is_clustered,
  c.relkind = 'I' as is_partitioned,
  c.relispartition as is_attached,
  coalesce(k.is_referenced, false) as is_referenced,
  k.constraint_name as constraint,
  s.index_bytes,
  s.scans
from chosen as x
join pg_catalog.pg_index as i on i.indexrelid = x.oid
join pg_catalog.pg_class as c on c.oid = i.indexrelid
join pg_catalog.pg_class as r on r.oid = i.indrelid
join pg_catalog.pg_am as m on m.oid = c.relam
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
left join named as k on k.conindid = i.indexrelid
cross join lateral (
  -- Apart: joined to both, all of pg_class would be hashed for a handful of rows.
  select
    c.relpages * pg_catalog.current_setting('block_size')::float8 as index_bytes,
    pg_catalog.pg_stat_get_numscans(c.oid) as scans
  where c.relkind = 'i'
  union all
  select
    sum(l.relpages) * pg_catalog.current_setting('block_size')::float8,
    sum(pg_catalog.pg_stat_get_numscans(l.oid))::int8
  from pg_catalog.pg_partition_tree(i.indexrelid) as t
  join pg_catalog.pg_class as l on l.oid = t.relid
  having c.relkind = 'I'
) as s
where not exists (
  select
  from pg_catalog.pg_depend as d
  where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.objid in (i.indexrelid, i.indrelid)
    and d.deptype = 'e'
)
order by
  r.relpages desc,
  i.indrelid,
  i.indexrelid
"""


def read_twins(fetch: Fetch) -> Sequence[IndexDefinition]:
    """All that may have a twin, those of the largest tables first."""
    return _read(fetch, "and (wide.indnkeyatts, wide.indnatts) = (narrow.indnkeyatts, narrow.indnatts)")


def read_definitions(fetch: Fetch) -> Sequence[IndexDefinition]:
    """All that may have a twin or a cover, those of the largest tables first."""
    return _read(fetch, "")


def _read(fetch: Fetch, pairing: str) -> Sequence[IndexDefinition]:
    sql = _SQL.replace("{pairing}", pairing).replace("{most}", str(_MOST_PAIRS))
    return [_definition(row) for row in fetch(sql, limit=_MOST)]


def _definition(row: RawRow) -> IndexDefinition:
    found = dict(row)
    columns = cast("list[int]", found.pop("columns"))
    count = cast("int", found.pop("key_count"))
    fields: dict[str, object] = {
        **found,
        **{
            name: tuple(cast("list[object]", found[name]))
            for name in ("operator_classes", "operator_class_options", "collations", "directions")
        },
        "keys": tuple(columns[:count]),
        "included": frozenset(columns[count:]),
        "expressions": found["expressions"] or "",
    }
    return IndexDefinition(**fields)  # type: ignore[arg-type]  # one field a column, by name
