"""Owns the question behind invalid_index: the indexes that are broken, and that nobody works on. Judges nothing."""

from __future__ import annotations

from typing import Final

from dbwatch.engines.postgres.probes.seldom import seldom

_SIGN: Final = """
-- needs no privilege
select i.indexrelid
from pg_catalog.pg_index as i
where not (i.indisvalid and i.indisready and i.indislive)
"""

_QUESTION: Final = """
-- Privilege: pg_read_all_stats, to see the builds of other roles.
-- Lock: asks the size of no index that somebody works on.
with broken as materialized (
  select
    i.indexrelid,
    i.indrelid,
    i.indkey,
    i.indclass,
    i.indcollation,
    i.indoption,
    i.indisunique,
    i.indexprs is null and i.indpred is null as is_plain,
    i.indisready,
    i.indislive,
    i.indisreplident,
    i.indisexclusion
  from pg_catalog.pg_index as i
  where not (i.indisvalid and i.indisready and i.indislive)
),
claimed as materialized (
  -- Somebody makes, rebuilds or drops it right now.
  select l.relation as oid
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.mode in ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
    and l.relation in (select b.indexrelid from broken as b)
  union all
  select p.relid
  from pg_catalog.pg_stat_progress_create_index as p
  where p.datname = pg_catalog.current_database()
),
locked as materialized (
  select l.relation as oid
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.mode = 'AccessExclusiveLock'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
),
judged as (
  select
    b.indexrelid,
    n.nspname,
    r.relname as relation,
    c.relname as index,
    b.indisready,
    b.indisunique,
    k.contype is not null or b.indisreplident as is_needed,
    case
      when c.relname ~ '_ccnew[0-9]*$' then 'a rebuild that failed left it'
      when c.relname ~ '_ccold[0-9]*$' then 'a rebuild that worked left it behind'
      when not b.indislive then 'dropping it was interrupted'
      when not b.indisready then 'building it was interrupted early'
      else 'building it failed, or dropping it was interrupted'
    end as cause,
    case
      when k.contype is not null or b.indisreplident
        then case when b.indisexclusion then 'rebuild in place' else 'rebuild' end
      when c.relname ~ '_cc(new|old)[0-9]*$' or not b.indislive or v.has_twin then 'drop'
      else 'rebuild or drop'
    end as verdict
  from broken as b
  join pg_catalog.pg_class as c on c.oid = b.indexrelid
  join pg_catalog.pg_class as r on r.oid = b.indrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  left join pg_catalog.pg_constraint as k
    on k.conindid = b.indexrelid
    and k.conrelid = b.indrelid
    and k.contype in ('p', 'u', 'x')
  cross join lateral (
    select
      exists (
        select
        from pg_catalog.pg_index as o
        where o.indrelid = b.indrelid
          and o.indexrelid <> b.indexrelid
          and b.is_plain
          and o.indisvalid
          and o.indpred is null
          and o.indkey::int2[] = b.indkey::int2[]
          and o.indclass = b.indclass
          and o.indcollation = b.indcollation
          and o.indoption::int2[] = b.indoption::int2[]
          and o.indisunique >= b.indisunique
      ) as has_twin
  ) as v
  -- A partitioned index (I) is invalid until each partition has its own: that is how one is built step by step.
  where c.relkind = 'i'
    and c.relpersistence <> 't'
    and (n.nspname !~ '^pg_' or n.nspname = 'pg_toast' and c.relname ~ '_cc(new|old)[0-9]*$')
    and not exists (select from claimed as l where l.oid in (b.indexrelid, b.indrelid))
)
select
  pg_catalog.current_database()::text as database,
  j.nspname::text as schema,
  j.relation::text as relation,
  j.index::text as index,
  case
    when not exists (
      select
      from locked as l
      where l.oid = j.indexrelid
    ) then pg_catalog.pg_relation_size(j.indexrelid)::float8
  end as index_bytes,
  j.indisready::int as is_maintained,
  j.is_needed::int as is_needed,
  j.cause,
  case
    when j.indisready then 'is written by every insert, and used by no query'
    else 'is used by no query'
  end as state,
  case j.verdict
    when 'drop' then pg_catalog.format('DROP INDEX CONCURRENTLY %I.%I;', j.nspname, j.index)
    when 'rebuild' then pg_catalog.format('REINDEX INDEX CONCURRENTLY %I.%I;', j.nspname, j.index)
    when 'rebuild in place'
      then pg_catalog.format('-- This locks the table: REINDEX INDEX %I.%I;', j.nspname, j.index)
    else pg_catalog.format(
      'REINDEX INDEX CONCURRENTLY %I.%I;  -- %sor, when it is not wanted: DROP INDEX CONCURRENTLY %I.%I;',
      j.nspname,
      j.index,
      case when j.indisunique then 'once no value is there twice, else it leaves one more; ' end,
      j.nspname,
      j.index
    )
  end as remedy
from judged as j
order by
  is_needed desc,
  is_maintained desc,
  schema,
  index
"""

invalid_index = seldom(_SIGN, _QUESTION)
