"""Owns finding indexes on one column in which no value is rare, from the planner's statistics. Judges nothing.

The statistics of a column are shown to those who may read it. An index that could not be judged is a row without
numbers; when that is all there is, the check is skipped with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.indexes.trust import TRUSTED, WRITTEN_BY, Observer, created, promoted_at
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.seldom import ANY_INDEX, has
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_SQL = """
-- Privilege: SELECT on the column, to see its statistics. Reads the catalogue and the counters only.
with {trusted},
candidate as materialized (
  select
    i.indexrelid,
    i.indrelid,
    i.indkey[0] as attnum,
    c.relname as index,
    c.relnamespace,
    c.relpages
  from pg_catalog.pg_index as i
  join pg_catalog.pg_class as c on c.oid = i.indexrelid
  where c.relkind = 'i'
    and c.relpages >= 128
    and i.indnatts = 1
    and i.indkey[0] > 0
    and i.indpred is null
    and not (i.indisunique or i.indisexclusion or i.indisreplident or i.indisclustered)
    and i.indisvalid
    and i.indisready
    and i.indislive
    -- B-tree and hash. A partition may hold one value of its own: that is how it was cut.
    and c.relam in (403, 405)
    and not c.relispartition
    and c.relpersistence <> 't'
    and c.relnamespace in (
      select n.oid
      from pg_catalog.pg_namespace as n
      where n.nspname <> 'information_schema'
        and n.nspname !~ '^pg_'
    )
),
-- The index of a foreign key is for the deletes of the other table, and serves them all the same.
free as (
  select c.*
  from candidate as c
  where not exists (
      select
      from pg_catalog.pg_constraint as k
      where k.conrelid = c.indrelid
        and k.contype = 'f'
        and c.attnum = any (k.conkey)
      offset 0
    )
    and not exists (
      select
      from pg_catalog.pg_depend as d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.objid in (c.indexrelid, c.indrelid)
        and d.deptype = 'e'
      offset 0
    )
  order by
    c.relpages desc,
    c.indexrelid
  limit 200
),
known as (
  select
    f.*,
    n.nspname as schema,
    r.relname as relation,
    r.reltuples,
    a.attname as column_name,
    pg_catalog.has_column_privilege(f.indrelid, f.attnum, 'select') as is_visible,
    count(s.n_distinct) over () as judged,
    s.n_distinct,
    case
      when s.n_distinct is null then null
      -- Not all values are in the list, so any may be rare.
      when pg_catalog.cardinality(s.most_common_freqs) is distinct from s.n_distinct::int then 0
      else least(
        (select min(m.frequency) from pg_catalog.unnest(s.most_common_freqs) as m(frequency)),
        nullif(s.null_frac, 0)
      )
    end as rarest,
    pg_catalog.pg_stat_get_numscans(f.indexrelid) as scans,
    pg_catalog.pg_stat_get_tuples_returned(f.indexrelid) as tuples
  from free as f
  join pg_catalog.pg_class as r on r.oid = f.indrelid
  join pg_catalog.pg_namespace as n on n.oid = r.relnamespace
  join pg_catalog.pg_attribute as a on a.attrelid = f.indrelid and a.attnum = f.attnum
  left join lateral (
    select
      p.n_distinct,
      p.null_frac,
      p.most_common_freqs
    from pg_catalog.pg_stats as p
    where p.schemaname = n.nspname
      and p.tablename = r.relname
      and p.attname = a.attname
      and not p.inherited
    -- The few by name: joined as a whole, the view is read for all columns of the database.
    offset 0
  ) as s on true
)
select
  pg_catalog.current_database()::text as database,
  k.schema::text as schema,
  k.relation::text as relation,
  k.index::text as index,
  k.relpages * pg_catalog.current_setting('block_size')::float8 as index_bytes,
  k.n_distinct::float8 as distinct_values,
  k.rarest::float8 as rarest_ratio,
  k.scans,
  case
    when k.scans > 0 and k.reltuples > 0 then least(k.tuples / k.scans::float8 / k.reltuples, 1)
  end as scan_ratio,
  k.column_name::text as column_name,
  k.is_visible,
  k.judged,
  extract(epoch from greatest(t.since, pg_catalog.to_timestamp({since}), {created}))::float8 as since_seconds,
  {written_by} as written_by
from known as k
join pg_catalog.pg_index as i on i.indexrelid = k.indexrelid
cross join trusted as t
where k.reltuples >= 10000
  and (k.rarest is null or k.rarest >= 0.05)
order by
  k.relpages desc,
  k.indexrelid
"""


def low_selectivity_index(context: ProbeContext) -> Sequence[RawRow]:
    """One row an index over a column without a rare value, and one an index that cannot be judged; largest first."""
    observer = Observer.at_work(context)
    promoted = promoted_at(context)
    sql = _SQL.format(
        trusted=TRUSTED,
        since="null" if promoted is None else repr(promoted),
        created=created(context),
        written_by=WRITTEN_BY,
    )
    rows = context.fetch(sql, limit=context.check.limit) if has(context, ANY_INDEX) else ()
    found = [dict(row) for row in rows]
    hidden = [row.pop("is_visible") for row in found].count(False)
    judged = [row.pop("judged") for row in found]
    if judged and judged[0] == 0:
        if hidden:
            text = "column statistics are hidden from this role, so no index can be judged; it needs pg_read_all_data"
            raise Skipped(Reason.PRIVILEGE, text)
        raise Skipped(Reason.STATISTICS, "no table with such an index has been analysed")
    for row in found:
        row["observed_seconds"] = observer.seconds(row.pop("since_seconds"), row.pop("written_by"))
    return found
