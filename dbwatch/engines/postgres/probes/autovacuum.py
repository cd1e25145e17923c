"""Owns how long all autovacuum workers have been busy, and with what. Judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number
from dbwatch.model import RawRow

_PATIENCE: Final = 3.0
"""Intervals without a look after which what was seen before proves nothing."""

_SQL: Final = """
-- Privilege: pg_read_all_stats. Lock: none. What a worker does is a text the server makes itself ("autovacuum: VACUUM
-- public.orders"), the only place that names tables of other databases; it holds nothing of any query.
with worker as (
  select
    a.datname,
    a.pid,
    extract(epoch from pg_catalog.clock_timestamp() - a.backend_start)::float8 as worker_seconds,
    extract(epoch from pg_catalog.clock_timestamp() - a.xact_start)::float8 as task_seconds,
    a.query like 'autovacuum: %(to prevent wraparound)' as is_rescue,
    case
      when a.query like 'autovacuum: %' then pg_catalog.substr(a.query, 13)
    end as task
  from pg_catalog.pg_stat_activity as a
  where a.backend_type = 'autovacuum worker'
)
select
  count(*)::float8 as workers,
  least(
    pg_catalog.current_setting('autovacuum_max_workers')::int,
    pg_catalog.current_setting('autovacuum_worker_slots', true)::int
  )::float8 as most_workers,
  min(w.worker_seconds) as youngest_seconds,
  max(w.task_seconds) as longest_task_seconds,
  count(*) filter (where w.is_rescue)::float8 as rescues,
  pg_catalog.string_agg(
    pg_catalog.concat(
      coalesce(w.task, 'between tables'), ' in ', coalesce(w.datname, 'no database'), ' (pid ', w.pid,
      ', ' || round((w.task_seconds / 60)::numeric)::text || ' min', ')'
    ),
    '; '
    order by w.task_seconds desc nulls last, w.pid
  ) as tasks,
  extract(epoch from pg_catalog.clock_timestamp())::float8 as asked_at
from worker as w
"""


class _Busy:
    """Since when every look found all workers busy, by the server's clock."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.looked_at = 0.0


def autovacuum_saturated(context: ProbeContext) -> Sequence[RawRow]:
    """One row. All are busy for as long as the youngest worker lives, or as every look has found them so."""
    row = context.fetch(_SQL, limit=1)[0]
    now, workers, most = (number(row[name]) or 0.0 for name in ("asked_at", "workers", "most_workers"))
    busy = context.memory.of(_Busy)
    is_fresh = 0 <= now - busy.looked_at <= _PATIENCE * context.check.every
    seen_since = busy.since if is_fresh else None
    busy.looked_at, busy.since = now, None
    if workers >= most > 0:
        lives_since = now - max(number(row["youngest_seconds"]) or 0.0, 0.0)
        busy.since = lives_since if seen_since is None else min(seen_since, lives_since)
    return [
        {
            "busy_seconds": 0.0 if busy.since is None else now - busy.since,
            "workers": workers,
            "most_workers": most,
            "rescues": row["rescues"],
            "longest_task_seconds": row["longest_task_seconds"],
            "tasks": row["tasks"] or "nothing",
        }
    ]
