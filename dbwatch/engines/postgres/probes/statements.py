"""Owns reading pg_stat_statements: its counters a statement, never its texts. Judges nothing.

The texts live in a file that the server reads whole for the view, hundreds of MB where it is full; the function with
`showtext => false` leaves it alone. Columns go by the extension's version, which ALTER EXTENSION may have left behind.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import Extension, RawRow, Reason
from dbwatch.template import quoted_ident

EXTENSION = "pg_stat_statements"

_SQL = """
-- Privilege: pg_read_all_stats, else the ids of other roles' statements are null. Reads no query text.
with entry as (
  select
    s.dbid,
    s.userid,
    s.queryid,
    sum(s.calls)::float8 as calls,
    (sum(s.{total_time}) / 1000)::float8 as exec_seconds,
    {reset_at} as reset_at
  from {schema}.pg_stat_statements(false) as s
  where s.queryid is not null
  group by
    s.dbid,
    s.userid,
    s.queryid
),
ranked as (
  select
    e.*,
    row_number() over (order by e.exec_seconds desc, e.queryid, e.dbid, e.userid) as total_place,
    row_number() over (
      order by
        case when e.calls > 1 then e.exec_seconds / e.calls else 0 end desc,
        e.queryid,
        e.dbid,
        e.userid
    ) as mean_place
  from entry as e
)
select
  coalesce(d.datname::text, r.dbid::text) as database,
  coalesce(a.rolname::text, r.userid::text) as role,
  r.queryid::text as queryid,
  r.calls,
  r.exec_seconds,
  extract(epoch from r.reset_at)::float8 as reset_at
from ranked as r
left join pg_catalog.pg_database as d on d.oid = r.dbid
left join pg_catalog.pg_roles as a on a.oid = r.userid
where r.total_place <= {half}
  or r.mean_place <= {half}
order by
  r.exec_seconds desc
"""

_GLOBAL_RESET = "(select i.stats_reset from {schema}.pg_stat_statements_info as i)"


def slow_statement(context: ProbeContext) -> Sequence[RawRow]:
    """The statements with the most time in all, and those with the highest mean, as counters."""
    extension = context.facts.extensions.get(EXTENSION)
    if extension is None:
        raise Skipped(Reason.EXTENSION, f"needs the extension {EXTENSION} in database {context.facts.database}")
    return context.fetch(_sql(extension, context.check.limit), limit=context.check.limit)


def _sql(extension: Extension, limit: int) -> str:
    columns = extension.columns
    if "stats_since" in columns:  # 1.11: each entry knows when it began
        reset_at = "max(s.stats_since)"
    elif "dealloc" in columns:  # 1.9: the view pg_stat_statements_info
        reset_at = _GLOBAL_RESET.format(schema=_schema(extension))
    else:
        reset_at = "null::timestamptz"
    total_time = "total_exec_time" if "total_exec_time" in columns else "total_time"
    return _SQL.format(schema=_schema(extension), total_time=total_time, reset_at=reset_at, half=limit // 2)


def _schema(extension: Extension) -> str:
    quoted = quoted_ident(extension.schema)
    if quoted is None:
        raise Skipped(Reason.EXTENSION, f"the schema of {extension.name} has a name that cannot be written in SQL")
    return quoted
