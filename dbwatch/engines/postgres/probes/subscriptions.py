"""Owns the rows of subscription_broken and subscription_table_stuck: logical replication into here. Judges nothing.

A worker that fails is started again every few seconds, so one look may well find it running: it counts as down until
a look finds the same worker as the one before, and no error since.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.seldom import has
from dbwatch.model import RawRow

_SUBSCRIPTIONS = """
-- Needs no privilege: the column with the connection string, which only superusers may read, is not touched.
-- The worker that applies has no table (those that copy one do) and no leader (those that help it do, from 16 on); from
-- 17 on it says what it is. Statistics came with 15, and each major counts more kinds: to_jsonb() takes what there is.
select
  d.datname::text as database,
  s.subname::text as subscription,
  s.subenabled as enabled,
  {disable_on_error} as disable_on_error,
  w.pid,
  extract(epoch from pg_catalog.clock_timestamp() - w.last_msg_receipt_time)::float8 as message_age_seconds,
  {apply_errors} as apply_errors,
  {sync_errors} as sync_errors,
  {conflicts} as conflicts
from pg_catalog.pg_subscription as s
join pg_catalog.pg_database as d on d.oid = s.subdbid
left join lateral (
  select
    a.pid,
    a.last_msg_receipt_time
  from pg_catalog.pg_stat_subscription as a
  where a.subid = s.oid
    and a.relid is null
    and a.pid is not null
    and {applies}
  order by a.pid
  limit 1
) as w on true
{statistics}
order by
  d.datname,
  s.subname
"""

_STATISTICS = "left join pg_catalog.pg_stat_subscription_stats as e on e.subid = s.oid"
_COUNTED = """(
    select sum(c.value::text::int8)::float8
    from pg_catalog.jsonb_each(pg_catalog.to_jsonb(e)) as c
    where c.key like '{pattern}'
      and c.value <> 'null'
  )"""
_UNKNOWN = "null::float8"
_APPLIES = (((17,), "a.worker_type = 'apply'"), ((16,), "a.leader_pid is null"), ((0,), "true"))

_ANY_NOT_READY = """
-- needs no privilege
select t.srrelid
from pg_catalog.pg_subscription_rel as t
where t.srsubstate <> 'r'
"""

_TABLES = """
-- Needs no privilege. Lock: none on the tables, whose names come from the catalog.
select
  pg_catalog.current_database()::text as database,
  s.subname::text as subscription,
  n.nspname::text as schema,
  c.relname::text as relation,
  case t.srsubstate
    when 'i' then 'waiting for its copy'
    when 'd' then 'being copied'
    when 'f' then 'copied, not in step yet'
    else 'catching up'
  end as state,
  s.subenabled as enabled
from pg_catalog.pg_subscription_rel as t
join pg_catalog.pg_subscription as s on s.oid = t.srsubid
join pg_catalog.pg_class as c on c.oid = t.srrelid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where t.srsubstate <> 'r'
order by
  s.subname,
  n.nspname,
  c.relname
"""


@dataclass(slots=True)
class _Health:
    """What the last look saw of a subscription. `bad_since` is on our monotonic clock."""

    pid: object
    errors: float
    bad_since: float | None


@dataclass(slots=True)
class SubscriptionHealth:
    """The health of each subscription, by database and name."""

    seen: dict[tuple[str, str], _Health] = field(default_factory=dict)


@dataclass(slots=True)
class TablesNotReady:
    """Since when (monotonic) tables have not been ready, by database, subscription, schema and name."""

    since: dict[tuple[str, ...], float] = field(default_factory=dict)


def subscription_broken(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each subscription of the cluster, whatever database it is in."""
    rows = context.fetch(_sql(context.facts.version), limit=context.check.limit)
    at = time.monotonic()
    memory = context.memory.of(SubscriptionHealth)
    past, memory.seen = memory.seen, {}
    found: list[RawRow] = []
    for row in rows:
        key = (str(row["database"]), str(row["subscription"]))
        health = _health(row, past.get(key), at)
        memory.seen[key] = health
        by_error = not row["enabled"] and bool(row["disable_on_error"]) and health.errors > 0
        found.append(
            {
                "database": key[0],
                "subscription": key[1],
                "enabled": 1 if row["enabled"] else 0,
                "worker_up": None if not row["enabled"] else 1 if row["pid"] is not None else 0,
                "down_seconds": at - health.bad_since if health.bad_since is not None else 0,
                "disabled_by_error": 1 if by_error else 0,
                "apply_errors": row["apply_errors"],
                "sync_errors": row["sync_errors"],
                "conflicts": row["conflicts"],
                "message_age_seconds": row["message_age_seconds"],
                "state": _state(row, by_error=by_error, bad=health.bad_since is not None),
            }
        )
    return found


def subscription_table_stuck(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each table of this database that its subscription has not brought in step."""
    rows = context.fetch(_TABLES, limit=context.check.limit) if has(context, _ANY_NOT_READY) else ()
    at = time.monotonic()
    memory = context.memory.of(TablesNotReady)
    here = [tuple(str(row[name]) for name in ("database", "subscription", "schema", "relation")) for row in rows]
    others = {key: since for key, since in memory.since.items() if key[0] != context.facts.database}
    memory.since = {**others, **{key: memory.since.get(key, at) for key in here}}
    return [
        {
            **{name: row[name] for name in ("database", "subscription", "schema", "relation", "state")},
            "not_ready_seconds": at - memory.since[key],
            "subscription_enabled": 1 if row["enabled"] else 0,
        }
        for key, row in zip(here, rows, strict=True)
    ]


def _sql(version: tuple[int, ...]) -> str:
    has_statistics = version >= (15,)
    applies = next(condition for lowest, condition in _APPLIES if version >= lowest)

    def counted(pattern: str) -> str:
        return _COUNTED.format(pattern=pattern) if has_statistics else _UNKNOWN

    return _SUBSCRIPTIONS.format(
        disable_on_error="s.subdisableonerr" if has_statistics else "false",
        apply_errors=counted("apply%error_count"),
        sync_errors=counted("sync%error_count"),
        conflicts=counted("confl%"),
        applies=applies,
        statistics=_STATISTICS if has_statistics else "",
    )


def _health(row: RawRow, before: _Health | None, at: float) -> _Health:
    errors = sum(
        float(value) for name in ("apply_errors", "sync_errors") if isinstance(value := row[name], (int, float))
    )
    fails = row["pid"] is None
    if before is not None:
        fails = fails or row["pid"] != before.pid or errors > before.errors
    if not row["enabled"] or not fails:
        return _Health(row["pid"], errors, None)
    since = before.bad_since if before is not None and before.bad_since is not None else at
    return _Health(row["pid"], errors, since)


def _state(row: RawRow, *, by_error: bool, bad: bool) -> str:
    if by_error:
        return "was disabled by an error"
    if not row["enabled"]:
        return "is disabled"
    if row["pid"] is None:
        return "has no worker"
    return "has a worker that fails again and again" if bad else "runs"
