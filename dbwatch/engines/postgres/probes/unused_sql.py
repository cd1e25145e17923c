"""Owns the SQL that finds indexes without a scan, on a primary and on its standbys. Knows no verdict.

The size decides first, then the scans, and only for the largest that remain what is dear: keys, ownership, files.
"""

from __future__ import annotations

FEEDS = """
-- Privilege: pg_read_all_stats, or the state of a standby is unknown and everything that receives counts as one.
select count(*) as feeds
from pg_catalog.pg_stat_replication as r
where (r.replay_lsn is not null and r.state <> 'backup' or r.state is null)
  and not exists (
    select
    from pg_catalog.pg_replication_slots as s
    where s.active_pid = r.pid
      and s.slot_type = 'logical'
  )
"""

CANDIDATES = """
candidate as materialized (
  -- Those of constraints are unique or exclude. The access methods of extensions may not count their scans.
  select
    i.indexrelid,
    i.indrelid,
    c.relkind,
    c.relpages
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as c on c.oid = i.indexrelid
  where not (i.indisunique or i.indisexclusion or i.indisreplident or i.indisclustered)
    and (
      c.relkind = 'I'
      or c.relkind = 'i' and c.relpages >= 128 and i.indisvalid and i.indisready and i.indislive
    )
    and not c.relispartition
    and c.relpersistence <> 't'
    and c.relam < 16384
    and c.relnamespace in (
      select n.oid
      from pg_catalog.pg_namespace as n
      where n.nspname <> 'information_schema'
        and n.nspname !~ '^pg_'
    )
),
part as (
  select
    c.indexrelid as root,
    c.indexrelid as member
  from candidate as c
  where c.relkind = 'I'
  union all
  select
    p.root,
    h.inhrelid
  from part as p
  join pg_catalog.pg_inherits as h on h.inhparent = p.member
),
tree as (
  select
    c.indexrelid as root,
    c.relpages::int8 as pages,
    array[c.indexrelid] as members,
    array[c.indrelid] as tables
  from candidate as c
  where c.relkind = 'i'
  union all
  select
    p.root,
    sum(c.relpages)::int8,
    pg_catalog.array_agg(i.indexrelid),
    pg_catalog.array_agg(i.indrelid)
  from part as p
  join pg_catalog.pg_class as c on c.oid = p.member and c.relkind = 'i'
  join pg_catalog.pg_index as i on i.indexrelid = p.member
  group by p.root
  having sum(c.relpages) >= 128
    and bool_and(i.indisvalid and i.indisready and i.indislive)
    and not bool_or(i.indisreplident or i.indisclustered)
)"""

UNUSED = """
-- Needs no privilege. Lock: asks the size of no relation that somebody holds or awaits in access exclusive mode.
with recursive {trusted},{candidates},
read_by_index as materialized (
  select distinct i.indrelid as oid
  from pg_catalog.pg_index as i
  where pg_catalog.pg_stat_get_numscans(i.indexrelid) > 0
),
used_beside as materialized (
  -- Tables that inherit from one are often the parts of one table, made by an extension (TimescaleDB) or by hand: what
  -- is used in a young part is of no use in the old ones and still wanted.
  select distinct
    h.inhparent as parent,
    i.indkey::text as columns
  from pg_catalog.pg_inherits as h
  join pg_catalog.pg_class as c
    on c.oid = h.inhrelid
    and c.relkind = 'r'
    and not c.relispartition
  join pg_catalog.pg_index as i on i.indrelid = h.inhrelid
  cross join lateral (select i.indexrelid) as m (oid)
  where {is_used}
),
scanned_elsewhere as materialized (
  select
    e.root,
    pg_catalog.to_timestamp(e.last_scan) as last_scan
  from rows from (
    pg_catalog.unnest({elsewhere_oids}::oid[]),
    pg_catalog.unnest({elsewhere_scans}::float8[])
  ) as e(root, last_scan)
),
largest_first as (
  select
    t.root,
    t.pages,
    t.members,
    t.tables,
    e.last_scan as last_scan_elsewhere
  from tree as t
  left join scanned_elsewhere as e on e.root = t.root
  where e.root is null
    or e.last_scan < pg_catalog.now() - pg_catalog.make_interval(secs => {stale_scan_seconds})
  order by
    t.pages desc,
    t.root
),
unused as materialized (
  select u.*
  from largest_first as u
  where not exists (
      select
      from pg_catalog.unnest(u.members) as m(oid)
      where {is_used}
      offset 0
    )
    -- A table that nobody reads proves nothing about its indexes.
    and exists (
      select
      from pg_catalog.unnest(u.tables) as r(oid)
      where pg_catalog.pg_stat_get_numscans(r.oid) > 0
        or r.oid in (select b.oid from read_by_index as b)
      offset 0
    )
    -- Without it, each delete in the table that a foreign key refers to would read the whole of this one.
    and not exists (
      select
      from pg_catalog.unnest(u.members || u.root) as m(oid)
      join pg_catalog.pg_index as i on i.indexrelid = m.oid
      join pg_catalog.pg_constraint as k on k.conrelid = i.indrelid and k.contype = 'f'
      where (i.indkey::int2[])[0:pg_catalog.cardinality(k.conkey) - 1] @> k.conkey
      offset 0
    )
    and not exists (
      select
      from pg_catalog.unnest(u.tables) as m(oid)
      join pg_catalog.pg_inherits as h on h.inhrelid = m.oid
      join pg_catalog.pg_index as i on i.indexrelid = u.root
      join used_beside as s
        on s.parent = h.inhparent
        and s.columns = i.indkey::text
      offset 0
    )
    and not exists (
      select
      from pg_catalog.unnest(u.tables || u.root) as m(oid)
      join pg_catalog.pg_depend as x on x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and x.objid = m.oid
      where x.deptype = 'e'
      offset 0
    )
  order by
    u.pages desc,
    u.root
  limit {limit}
),
locked as materialized (
  select l.relation
  from pg_catalog.pg_locks as l
  where l.locktype = 'relation'
    and l.mode = 'AccessExclusiveLock'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database())
),
described as (
  select
    u.*,
    exists (
      select
      from locked as l
      where l.relation = any (u.members || u.tables || u.root || i.indrelid)
    ) as is_locked,
    i.indrelid,
    i.indexprs is not null as has_expressions,
    p.last_scan,
    p.writes,
    -- The age of a tree is that of its oldest part: new partitions are made every day.
    greatest({created}, p.oldest_created) as created,
    greatest({xid}, p.oldest_xid) as xid
  from unused as u
  join pg_catalog.pg_index as i on i.indexrelid = u.root
  cross join lateral (
    select
      max({last_scan}) as last_scan,
      min({created}) as oldest_created,
      min({xid}) as oldest_xid,
      sum(
        pg_catalog.pg_stat_get_tuples_inserted(i.indrelid)
        + pg_catalog.pg_stat_get_tuples_updated(i.indrelid)
        - pg_catalog.pg_stat_get_tuples_hot_updated(i.indrelid)
      )::float8 as writes
    from pg_catalog.pg_index as i
    where i.indexrelid = any (u.members)
  ) as p
)
select
  pg_catalog.current_database()::text as database,
  n.nspname::text as schema,
  r.relname::text as relation,
  c.relname::text as index,
  case
    -- The files of a tree may be thousands.
    when d.is_locked or c.relkind = 'I' then d.pages * pg_catalog.current_setting('block_size')::float8
    else pg_catalog.pg_relation_size(d.root)::float8
  end as index_bytes,
  extract(
    epoch from greatest(s.since, pg_catalog.to_timestamp({since}), d.last_scan, d.last_scan_elsewhere, d.created)
  )::float8 as since_seconds,
  d.xid,
  d.writes,
  case
    when c.relkind = 'I' then 'DROP INDEX'
    else 'DROP INDEX CONCURRENTLY'
  end as statement,
  case
    when d.has_expressions then '; the statistics of its expressions go with it'
    else ''
  end as caution,
  case
    -- Deparsing an expression opens the table.
    when d.is_locked
      then pg_catalog.format(
        'SELECT pg_get_indexdef(%L::regclass);',
        pg_catalog.format('%I.%I', n.nspname, c.relname)
      )
    when c.relkind = 'I' then pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(d.root), ' ON ONLY ', ' ON ') || ';'
    else pg_catalog.pg_get_indexdef(d.root) || ';'
  end as definition
from described as d
join pg_catalog.pg_class as c on c.oid = d.root
join pg_catalog.pg_class as r on r.oid = d.indrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
cross join trusted as s
order by
  index_bytes desc
"""

SCANNED = """
-- Needs no privilege and asks no relation for anything: what a standby scans, the largest first.
with recursive {trusted},{candidates},
scanned as (
  select
    t.root,
    t.pages,
    u.last_scan
  from tree as t
  cross join lateral (
    select max({last_scan}) as last_scan
    from pg_catalog.unnest(t.members) as i(indexrelid)
    where pg_catalog.pg_stat_get_numscans(i.indexrelid) > 0
      or pg_catalog.pg_stat_get_tuples_returned(i.indexrelid) > 0
    having count(*) > 0
  ) as u
  order by
    t.pages desc,
    t.root
  limit {limit}
)
select
  (select extract(epoch from s.since)::float8 from trusted as s) as since_seconds,
  pg_catalog.array_agg(x.root) as oids,
  pg_catalog.array_agg(extract(epoch from x.last_scan)::float8) as last_scans
from scanned as x
"""
