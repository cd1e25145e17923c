"""Owns noticing that a server restarted, changed its role, is loading, or fails over. Judges nothing.

What happened is seen by comparing with the last look: an uptime alone cannot tell a restart from a new server.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import flag, number
from dbwatch.engines.redis.persistence import key_count
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.errors import CheckError
from dbwatch.model import RawRow, Reason, Role
from dbwatch.units import count_text

_NAMES = {Role.PRIMARY: "primary", Role.STANDBY: "replica"}
_CLOCK_SECONDS = 2.0
"""Uptime is told in whole seconds."""


@dataclass(frozen=True, slots=True)
class _Life:
    """One look. `seen` is our monotonic clock; a run id is made at every start."""

    run_id: str
    up_seconds: float
    keys: float
    seen: float


@dataclass(slots=True)
class _Lives:
    """The last look, and the last end of a life that we noticed."""

    last: _Life | None = None
    started_at: float | None = None
    restarts: int = 0
    event: str | None = None
    noticed: float | None = None


def server_restarted(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row: since when the server runs, and how its last life ended if we were there."""
    info = context.info
    run_id, up_seconds = info.get("run_id"), number(info, "uptime_in_seconds")
    if run_id is None or up_seconds is None:
        raise CheckError(Reason.BAD_RESULT, "INFO does not tell the server's run id and uptime", step="result")
    now = number(info, "server_time_usec")
    life = _Life(run_id, up_seconds, key_count(info), time.monotonic())
    lives = context.memory.of(_Lives)
    event = _ended(lives.last, life, info) if lives.last is not None else None
    if lives.last is None or lives.last.run_id != run_id or lives.started_at is None:
        # Reckoned once a life: from whole seconds it comes out a little different each time.
        lives.started_at = now / 1e6 - up_seconds if now is not None else None
    lives.last = life
    if event is not None:
        lives.restarts += 1
        lives.event, lives.noticed = event, life.seen
    row: RawRow = {
        "started_at": lives.started_at,
        "restarts": float(lives.restarts),
        "noticed_seconds": life.seen - lives.noticed if lives.noticed is not None else None,
        "up_seconds": up_seconds,
        "event": lives.event,
    }
    return (row,)


def _ended(last: _Life, now: _Life, info: Fields) -> str | None:
    """How the life of the last look ended, or None when it goes on."""
    if now.run_id == last.run_id:
        return None
    if now.up_seconds > now.seen - last.seen + _CLOCK_SECONDS:
        return "was replaced behind this address by one that was running already"
    if info.get("loading") == "1":
        return "restarted, and is loading its data"
    return f"restarted; it held {count_text(last.keys)} keys, and {count_text(now.keys)} after its start"


@dataclass(slots=True)
class _Roles:
    """The role of the last look, and the last change we noticed."""

    role: Role | None = None
    event: str | None = None
    changes: int = 0
    noticed: float | None = None


def role_changed(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row: the role, what is expected of it, and the last change if we were there."""
    role = role_of(context.info)
    roles = context.memory.of(_Roles)
    if roles.role not in (None, role):
        roles.changes += 1
        roles.event, roles.noticed = _turned(role, context.info), time.monotonic()
    roles.role = role
    expected = context.target.expect.role
    row: RawRow = {
        "unexpected": None if expected is None else float(role is not expected),
        "changes": float(roles.changes),
        "noticed_seconds": time.monotonic() - roles.noticed if roles.noticed is not None else None,
        "told": _role_text(role, expected, roles.event),
    }
    return (row,)


def role_of(info: Fields) -> Role:
    """The role INFO tells now; the facts may be minutes old."""
    match info.get("role"):
        case "master":
            return Role.PRIMARY
        case "slave":
            return Role.STANDBY
    raise CheckError(Reason.BAD_RESULT, "INFO does not tell the server's role", step="result")


def _turned(role: Role, info: Fields) -> str:
    if role is Role.PRIMARY:
        return "the replica was promoted: it is a primary"
    return f"the primary became a replica of {info.get('master_host')}:{info.get('master_port')}"


def _role_text(role: Role, expected: Role | None, event: str | None) -> str:
    parts = []
    if expected is not None and role is not expected:
        parts.append(f"this server is a {_NAMES[role]} and is meant to be a {_NAMES[expected]}")
    if event is not None:
        parts.append(event)
    return "; ".join(parts) or f"this server is a {_NAMES[role]}"


def loading(info: Fields) -> tuple[RawRow, ...]:
    """One row: whether the server is reading its data and answers nobody, since when, and for how much longer."""
    is_loading, is_replica = flag(info, "loading", "1"), flag(info, "role", "slave")
    known = is_loading is not None and is_replica is not None
    now, since = number(info, "server_time_usec"), number(info, "loading_start_time")
    row: RawRow = {
        "is_loading": float(bool(is_loading and not is_replica)) if known else None,
        "is_loading_copy": float(bool(is_loading and is_replica)) if known else None,
        "is_loading_aside": flag(info, "async_loading", "1"),
        "loading_seconds": max(0.0, now / 1e6 - since) if is_loading and now is not None and since else None,
        "left_seconds": number(info, "loading_eta_seconds") if is_loading else None,
        "loaded_ratio": percent / 100 if (percent := number(info, "loading_loaded_perc")) is not None else None,
    }
    return (row,)


@dataclass(slots=True)
class _Failover:
    """Since when a failover has been seen under way."""

    since: float | None = None


def failover(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row: whether the command FAILOVER is at work, and for how long we have seen it."""
    state = context.info.get("master_failover_state")
    under_way = None if state is None else state != "no-failover"
    kept = context.memory.of(_Failover)
    now = time.monotonic()
    kept.since = (kept.since if kept.since is not None else now) if under_way else None
    row: RawRow = {
        "under_way": None if under_way is None else float(under_way),
        "seen_seconds": now - kept.since if kept.since is not None else None,
        "state": state,
    }
    return (row,)
