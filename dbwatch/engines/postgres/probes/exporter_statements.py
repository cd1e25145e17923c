"""Owns the reading behind the collector of statements: the dearest by total time, as the extension counts them now.

The checks on statements keep their own count, which goes on through resets; an exporter shows what the server shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.statements.reading import read_shape
from dbwatch.model import RawRow

_DEAREST = """
-- Privilege: pg_read_all_stats, else the ids of other roles' statements are null and they are left out.
-- Without the texts the extension reads no file.
select
  pg_catalog.pg_get_userbyid(s.userid)::text as "user",
  coalesce(d.datname::text, s.dbid::text) as datname,
  s.queryid::text as queryid,
  sum(s.calls) as calls,
  sum(s.{exec_time}) / 1000 as seconds,
  sum(s.rows) as rows,
  sum(s.{read_time}) / 1000 as block_read_seconds,
  sum(s.{write_time}) / 1000 as block_write_seconds
from {schema}.pg_stat_statements(false) as s
left join pg_catalog.pg_database as d on d.oid = s.dbid
where s.queryid is not null
group by
  s.userid,
  d.datname,
  s.dbid,
  s.queryid
order by sum(s.{exec_time}) desc
"""


def exporter_statements(context: ProbeContext) -> Sequence[RawRow]:
    """The statements that took longest in all; their number is the collector's limit."""
    shape = read_shape(context)
    prefix = "shared_" if "shared_blk_read_time" in shape.sources["io_seconds"] else ""
    sql = _DEAREST.format(
        schema=shape.schema,
        exec_time=shape.sources["exec_seconds"][0],
        read_time=f"{prefix}blk_read_time",
        write_time=f"{prefix}blk_write_time",
    )
    return context.fetch(sql, limit=context.check.limit)
