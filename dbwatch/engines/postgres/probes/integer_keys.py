"""Owns how far integer keys are used up that no sequence feeds: numbers come from the application or another database.

What is known is the highest value that ANALYZE met, and how it moved while we watched. Judges nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbwatch.engines.postgres.history import History
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import narrow_integers
from dbwatch.engines.postgres.probes.sequences_sql import NEXTVAL_ALONE
from dbwatch.model import RawRow

_DAY = 86_400.0
_LEAST_ROWS = 10_000
_MOST_KEYS = 200
_MOST_REMEMBERED = 2_000

_SQL = """
-- Privilege: pg_read_all_data (or SELECT), for the statistics of the column; only the first and the last bound of their
-- values are read, as numbers. Lock: none on tables of users.
with keyed as materialized (
  select
    c.oid,
    c.relname,
    c.relnamespace,
    c.reltuples,
    i.indkey[0] as position,
    min(i.indexrelid) as index_oid
  from pg_catalog.pg_class as c
  join pg_catalog.pg_index as i on i.indrelid = c.oid
  where c.relkind = 'r'
    and c.relpersistence <> 't'
    and c.reltuples >= {least_rows}
    and c.oid >= 16384
    and i.indisunique
    and i.indisvalid
    and i.indnkeyatts = 1
    and i.indkey[0] > 0
    and i.indpred is null
  group by
    c.oid,
    c.relname,
    c.relnamespace,
    c.reltuples,
    i.indkey[0]
  order by
    c.reltuples desc,
    c.oid
  limit {most}
),
integers as materialized (
  select
    k.*,
    n.nspname,
    a.attname,
    pg_catalog.format_type(a.atttypid, null) as type,
    {last}::float8 as limit_value
  from keyed as k
  join pg_catalog.pg_attribute as a
    on a.attrelid = k.oid
    and a.attnum = k.position
  {narrow_type}
  join pg_catalog.pg_namespace as n on n.oid = k.relnamespace
  -- Sequences have a check of their own; from a formula it cannot tell the numbers.
  where a.attidentity = ''
    and not exists (
      select
      from pg_catalog.pg_attrdef as f
      where f.adrelid = a.attrelid
        and f.adnum = a.attnum
        and f.adbin::pg_catalog.text ~ '{nextval_alone}'
    )
),
-- By itself, so that no planner reads the bounds of other columns as numbers before it has joined.
measured as materialized (
  select
    i.*,
    s.histogram_bounds,
    s.correlation
  from integers as i
  join pg_catalog.pg_stats as s
    on s.schemaname = i.nspname
    and s.tablename = i.relname
    and s.attname = i.attname
    and not s.inherited
)
select
  i.oid::int8 as oid,
  i.nspname::text as schema,
  i.relname::text as relation,
  i.attname::text as column_name,
  i.type,
  i.limit_value,
  i.reltuples::float8 as live_rows,
  b.least,
  b.most,
  i.correlation::float8 as correlation
from measured as i
cross join lateral (
  select
    min(v.value)::float8 as least,
    max(v.value)::float8 as most
  from pg_catalog.unnest(i.histogram_bounds::pg_catalog.text::pg_catalog.int8[]) as v (value)
) as b
where b.most > 0
  and b.least >= 0
order by
  b.most / i.limit_value desc,
  i.oid
"""


class KeyMemory:
    """The highest values of one target's keys over the last weeks."""

    def __init__(self) -> None:
        self.most: History[tuple[str, int, str]] = History(
            span_seconds=30 * _DAY, step_seconds=_DAY, most=_MOST_REMEMBERED
        )


def integer_key_exhausted(context: ProbeContext) -> Sequence[RawRow]:
    """One row a key column, the most used first."""
    sql = _SQL.format(
        least_rows=_LEAST_ROWS,
        most=_MOST_KEYS,
        narrow_type=narrow_integers.TYPE,
        last=narrow_integers.LAST,
        nextval_alone=NEXTVAL_ALONE,
    )
    found = context.fetch(sql, limit=_MOST_KEYS)
    return [_row(context, row) for row in found[: context.check.limit]]


def _row(context: ProbeContext, row: RawRow) -> RawRow:
    database = context.facts.database
    least, most, limit, live = (float(str(row[name])) for name in ("least", "most", "limit_value", "live_rows"))
    history, now = context.memory.of(KeyMemory).most, time.monotonic()
    name = (database, int(str(row["oid"])), str(row["column_name"]))
    history.add(name, most, now)
    return {
        "database": database,
        "schema": row["schema"],
        "relation": row["relation"],
        "column_name": row["column_name"],
        "used_ratio": min(1.0, most / limit),
        "left_seconds": history.seconds_until(limit, name, most, now, 7 * _DAY),
        "highest": most,
        "limit_value": limit,
        # Numbers given out one after another lie dense and in the order of the rows; codes and hashes do neither.
        "density_ratio": min(1.0, live / (most - least + 1)),
        "correlation": row["correlation"],
        "type": row["type"],
    }
