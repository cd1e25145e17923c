"""Owns the SQL that tells how far sequences are used up. Knows no verdict and no turns.

What a sequence feeds is found first: the columns whose default it is, and the keys that refer to those.
"""

from __future__ import annotations

from typing import Final

NEXTVAL_ALONE: Final = r"^(\{COERCETODOMAIN :arg )?\{FUNCEXPR :funcid (1574|(480|714) [^{]*\{FUNCEXPR :funcid 1574) "
"""Matches a default that gives out what its sequence gives out."""

SEQUENCES: Final = r"""
-- Privilege: SELECT or USAGE on a sequence (pg_read_all_data) shows its position; without it the row says so.
-- Lock: RowExclusiveLock on each sequence opened, as nextval() takes it; those that it would wait for are left out.
with locked as materialized (
  select
    l.relation
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
),
chosen as materialized (
  select
    s.*,
    c.relname,
    c.relnamespace
  from pg_catalog.pg_sequence as s
  join pg_catalog.pg_class as c on c.oid = s.seqrelid
  where c.relpersistence <> 't'
    -- Joined, since before version 15 `<> all` goes through the whole array for each sequence.
    and not exists (
      select
      from pg_catalog.unnest('{{{leave_out}}}'::pg_catalog.oid[]) as seen (oid)
      where seen.oid = s.seqrelid
    )
    and not exists (select from locked as l where l.relation = s.seqrelid)
  order by
    s.seqmax - case when s.seqmin > 0 then s.seqmin else 0 end < 4294967296 desc,
    pg_catalog.pg_stat_get_blocks_fetched(s.seqrelid) desc,
    s.seqrelid
  limit {most}
),
fed as materialized (
  select
    s.seqrelid,
    d.refobjid as relation,
    d.refobjsubid::pg_catalog.int2 as position
  from chosen as s
  join pg_catalog.pg_depend as d
    on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.objid = s.seqrelid
    and d.objsubid = 0
  where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.deptype in ('a', 'i')
    and d.refobjsubid > 0
  union all
  select
    s.seqrelid,
    f.adrelid,
    f.adnum
  from chosen as s
  join pg_catalog.pg_depend as d
    on d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    and d.refobjid = s.seqrelid
    and d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
  join pg_catalog.pg_attrdef as f on f.oid = d.objid
  -- A default that is nextval() and nothing else, but for the cast to int4 or int2: another formula may turn it round.
  where f.adbin::pg_catalog.text ~ '{nextval_alone}'
),
reached as materialized (
  select
    f.seqrelid,
    f.relation,
    f.position,
    false as refers
  from fed as f
  union all
  select
    j.seqrelid,
    j.conrelid,
    j.position,
    true
  from (
    -- A full join can only be hashed or merged; the planner takes `fed` for two rows and would loop over it.
    select
      f.seqrelid,
      k.conrelid,
      k.position
    from fed as f
    full join (
      select
        k.conrelid,
        k.confrelid,
        p.position,
        p.referenced
      from pg_catalog.pg_constraint as k
      cross join lateral rows from (
        pg_catalog.unnest(k.conkey),
        pg_catalog.unnest(k.confkey)
      ) as p (position, referenced)
      where k.contype = 'f'
    ) as k
      on k.confrelid = f.relation
      and k.referenced = f.position
    offset 0
  ) as j
  where j.seqrelid is not null
    and j.conrelid is not null
),
narrow as materialized (
  select distinct on (r.seqrelid)
    r.seqrelid,
    pg_catalog.format('%I.%I.%I', n.nspname, c.relname, a.attname) as place,
    pg_catalog.format_type(a.atttypid, null) as type,
    r.refers,
    {last} as most
  from reached as r
  join pg_catalog.pg_attribute as a
    on a.attrelid = r.relation
    and a.attnum = r.position
  {narrow_type}
  join pg_catalog.pg_class as c on c.oid = r.relation
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
  order by
    r.seqrelid,
    5,
    r.refers,
    c.relispartition,
    2
),
bounded as materialized (
  select
    s.*,
    n.place,
    n.type,
    n.refers,
    s.seqincrement > 0 as rises,
    coalesce(
      case
        when s.seqincrement > 0 then n.most <= s.seqmax
        else -n.most - 1 >= s.seqmin
      end,
      false
    ) as by_column,
    s.seqcycle
      and coalesce(
        case
          when s.seqincrement > 0 then s.seqmax <= n.most
          else s.seqmin >= -n.most - 1
        end,
        true
      ) as starts_over,
    case
      when s.seqincrement > 0 then least(s.seqmax, n.most)
      else greatest(s.seqmin, -n.most - 1)
    end as last_possible,
    case
      when s.seqincrement > 0 then s.seqmin
      else s.seqmax
    end as first_possible,
    pg_catalog.has_sequence_privilege(s.seqrelid, 'select, usage') as readable,
    case
      when pg_catalog.has_sequence_privilege(s.seqrelid, 'select, usage')
        then pg_catalog.pg_sequence_last_value(s.seqrelid::pg_catalog.regclass)
    end as last_value
  from chosen as s
  left join narrow as n on n.seqrelid = s.seqrelid
)
select
  b.seqrelid::pg_catalog.int8 as oid,
  n.nspname::pg_catalog.text as schema,
  b.relname::pg_catalog.text as sequence,
  b.readable,
  b.starts_over,
  b.last_possible::pg_catalog.float8 as limit_value,
  b.last_value::pg_catalog.float8 as position,
  -- In numeric, since a range of bigint overflows it.
  case
    when b.last_value is not null
      then least(
        1,
        (pg_catalog.abs(b.last_value::pg_catalog.numeric - b.first_possible) + 1)
          / (pg_catalog.abs(b.last_possible::pg_catalog.numeric - b.first_possible) + 1)
      )
  end::pg_catalog.float8 as used_ratio,
  case
    when b.last_value is not null
      then greatest(0, pg_catalog.trunc((b.last_possible::pg_catalog.numeric - b.last_value) / b.seqincrement))
  end::pg_catalog.float8 as calls_left,
  case
    when not b.by_column then 'its own limit'
    when b.refers then pg_catalog.format('%s %s, which refers to its key,', b.type, b.place)
    else pg_catalog.format('%s %s', b.type, b.place)
  end as bound,
  case
    when b.by_column
      then pg_catalog.format(
        '-- Plan to make %s a bigint: a plain ALTER TABLE rewrites it and keeps everybody out meanwhile.',
        b.place
      )
    when b.last_possible in (-9223372036854775808, 9223372036854775807)
      then '-- No integer is wider than bigint: find out who moved it so far (setval, INCREMENT), and set it back.'
    else pg_catalog.format(
      '-- If no narrower column takes its values: ALTER SEQUENCE %I.%I AS bigint %s;',
      n.nspname,
      b.relname,
      case when b.rises then 'NO MAXVALUE' else 'NO MINVALUE' end
    )
  end as remedy
from bounded as b
join pg_catalog.pg_namespace as n on n.oid = b.relnamespace
"""
