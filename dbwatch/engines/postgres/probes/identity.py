"""Owns noticing that a server restarted, changed its role, or is another one than before. Judges nothing.

What happened is seen by comparing with the last look: an uptime alone cannot tell a restart from a new server.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number, whole
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason, Role

_LIFE = """
-- Privilege: pg_read_all_stats, for the start of the checkpointer: it ends with the server's shared memory only.
-- A recovery after a crash resets all these kinds of statistics, a person perhaps one.
select
  extract(epoch from pg_catalog.pg_postmaster_start_time())::float8 as started_at,
  extract(epoch from pg_catalog.clock_timestamp())::float8 as seen_at,
  (
    select extract(epoch from min(a.backend_start))::float8
    from pg_catalog.pg_stat_activity as a
    where a.backend_type = 'checkpointer'
  ) as memory_at,
  (
    select extract(epoch from least({resets}))::float8
    from {views}
  ) as counted_since,
  pg_catalog.pg_is_in_recovery() as in_recovery
"""

_RESETS = "a.stats_reset, b.stats_reset"
_VIEWS = "pg_catalog.pg_stat_archiver as a cross join pg_catalog.pg_stat_bgwriter as b"
_WAL_RESET = ", w.stats_reset"
_WAL_VIEW = " cross join pg_catalog.pg_stat_wal as w"
"""There since version 14."""

_POSITION = """
-- needs no privilege; pg_monitor lets a standby know the timeline it receives
select
  pg_catalog.pg_is_in_recovery() as in_recovery,
  {timeline} as timeline
"""

TIMELINE = """case
    when not pg_catalog.pg_is_in_recovery()
      then ('x' || left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int
    else greatest(
      (select r.received_tli from pg_catalog.pg_stat_wal_receiver as r),
      case
        when pg_catalog.has_function_privilege('pg_catalog.pg_control_checkpoint()', 'execute')
          then (select c.timeline_id from pg_catalog.pg_control_checkpoint() as c)
      end
    )
  end"""
"""The timeline. The control file knows it after the next checkpoint only, so a primary is asked for its log file."""


@dataclass(frozen=True, slots=True)
class _Life:
    """One look. All four are the server's clock."""

    started_at: float
    seen_at: float
    memory_at: float | None
    counted_since: float | None


@dataclass(slots=True)
class _Lives:
    """The last look, and the last end of a life that we noticed."""

    last: _Life | None = None
    restarts: int = 0
    event: str | None = None
    noticed: float | None = None


def server_restarted(context: ProbeContext) -> Sequence[RawRow]:
    """One row: since when the server runs, and how its last life ended if we were there."""
    has_wal = context.facts.version >= (14,)
    resets, views = _RESETS + _WAL_RESET * has_wal, _VIEWS + _WAL_VIEW * has_wal
    found = context.fetch(_LIFE.format(resets=resets, views=views), limit=1)[0]
    life = _Life(
        number(found["started_at"]) or 0.0,
        number(found["seen_at"]) or 0.0,
        number(found["memory_at"]),
        number(found["counted_since"]),
    )
    lives = context.memory.of(_Lives)
    # Before version 15 a standby starts its counters over at every start.
    counters_tell = not (found["in_recovery"] and context.facts.version < (15,))
    event = _ended(lives.last, life, counters_tell=counters_tell) if lives.last is not None else None
    lives.last = life
    if event is not None:
        lives.restarts += 1
        lives.event, lives.noticed = event, time.monotonic()
    return (
        {
            "started_at": life.started_at,
            "restarts": lives.restarts,
            "noticed_seconds": time.monotonic() - lives.noticed if lives.noticed is not None else None,
            "up_seconds": max(0.0, life.seen_at - (life.memory_at or life.started_at)),
            "event": lives.event,
        },
    )


def _ended(last: _Life, now: _Life, *, counters_tell: bool) -> str | None:
    """How the life of the last look ended, or None when it goes on."""
    if now.started_at == last.started_at:
        if last.memory_at is not None and now.memory_at is not None and now.memory_at > last.memory_at:
            return "ended all sessions and recovered, because one of its processes had crashed"
        return None
    if now.started_at <= last.seen_at:
        return "was replaced behind this address by one that was running already"
    if not counters_tell or now.counted_since is None:
        return "restarted"
    if now.counted_since >= now.started_at:
        return "restarted without a clean shutdown (crash, kill or immediate stop); its statistics start from zero"
    return "restarted after a clean shutdown"


@dataclass(slots=True)
class _Roles:
    """The role of the last look, the timeline of the last look at a primary, and the last change we noticed."""

    role: Role | None = None
    primary_timeline: int | None = None
    event: str | None = None
    changes: int = 0
    noticed: float | None = None


def role_changed(context: ProbeContext) -> Sequence[RawRow]:
    """One row: role and timeline, what is expected of them, and the last change if we were there."""
    timeline_known = context.facts.flavour != "aurora"
    found = context.fetch(_POSITION.format(timeline=TIMELINE if timeline_known else "null::int"), limit=1)[0]
    role = Role.STANDBY if found["in_recovery"] else Role.PRIMARY
    timeline = whole(found["timeline"])
    roles = context.memory.of(_Roles)
    event = _turned(roles, role, timeline)
    roles.role = role
    if role is Role.PRIMARY:
        roles.primary_timeline = timeline
    if event is not None:
        roles.changes += 1
        roles.event, roles.noticed = event, time.monotonic()
    expected = context.target.expect.role
    return (
        {
            "in_recovery": role is Role.STANDBY,
            "timeline": timeline,
            "unexpected": None if expected is None else role is not expected,
            "changes": roles.changes,
            "noticed_seconds": time.monotonic() - roles.noticed if roles.noticed is not None else None,
            "role_now": role,
            "told": _role_text(role, expected, roles),
        },
    )


def _turned(roles: _Roles, role: Role, timeline: int | None) -> str | None:
    if roles.role is None:
        return None
    if role is not roles.role:
        where = f" on timeline {timeline}" if timeline is not None else ""
        if role is Role.PRIMARY:
            return f"the standby was promoted: it is a primary{where}"
        return f"the primary became a standby{where}"
    known = timeline is not None and roles.primary_timeline is not None
    if role is Role.PRIMARY and known and timeline != roles.primary_timeline:
        return f"another primary, or a restored one: timeline {timeline}, it was {roles.primary_timeline}"
    return None


def _role_text(role: Role, expected: Role | None, roles: _Roles) -> str:
    parts = []
    if expected is not None and role is not expected:
        parts.append(f"this server is a {role} and is meant to be a {expected}")
    if roles.event is not None:
        parts.append(roles.event)
    return "; ".join(parts) or f"this server is a {role}"


@dataclass(slots=True)
class _Identity:
    """The system identifier of the last look, and the last change of it that we noticed."""

    system_identifier: str | None = None
    replacements: int = 0
    noticed: float | None = None


def cluster_replaced(context: ProbeContext) -> Sequence[RawRow]:
    """One row: which cluster answers, and since when it is another one than before if we were there."""
    found = context.facts.system_identifier
    if found is None:
        raise Skipped(Reason.PLATFORM, "the server does not tell its system identifier")
    identity = context.memory.of(_Identity)
    if identity.system_identifier not in (None, found):
        identity.replacements += 1
        identity.noticed = time.monotonic()
    identity.system_identifier = found
    return (
        {
            "replacements": identity.replacements,
            "noticed_seconds": time.monotonic() - identity.noticed if identity.noticed is not None else None,
            "system_identifier": found,
        },
    )
