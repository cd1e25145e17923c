"""Owns holding the number of sessions against the machine and against the limit of connections. Judges nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from dbwatch.engines.postgres.machine import Backend, UnknownMachineError, local_cpus
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number, text, whole
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_SQL = """
-- Privilege: pg_read_all_stats, else state and waits of other roles' sessions are null. A glance at the sessions.
with seen as materialized (
  select
    a.pid,
    a.backend_type,
    coalesce(a.usename, a.usesysid::text, 'unknown') as role,
    a.state in ('active', 'fastpath function call') and a.wait_event is null as running
  from pg_catalog.pg_stat_activity as a
  where a.backend_type in ('client backend', 'parallel worker')
)
select
  count(*) filter (where s.running and s.pid <> pg_catalog.pg_backend_pid()) as running,
  count(*) filter (where s.backend_type = 'client backend') as connected,
  mode() within group (order by s.role)
    filter (where s.running and s.pid <> pg_catalog.pg_backend_pid()) as busiest_role,
  pg_catalog.current_setting('max_connections')::float8 as allowed,
  pg_catalog.pg_backend_pid() as pid,
  pg_catalog.inet_client_port() as client_port,
  session_user::text as session_name,
  pg_catalog.current_database()::text as database
from seen as s
"""


@dataclass(slots=True)
class _Peak:
    """The most client sessions seen at a look, and since when we look."""

    since: float = field(default_factory=time.monotonic)
    sessions: int = 0


def excess_active_sessions(context: ProbeContext) -> Sequence[RawRow]:
    """One row: the sessions that want a core, and the cores."""
    found = context.fetch(_SQL, limit=1)[0]
    try:
        cpus = _cpus(context, found)
    except UnknownMachineError as error:
        raise Skipped(Reason.PLATFORM, f"{error}; give `machine: cpus:` of the target in the configuration") from None
    return (
        {
            "running": whole(found["running"]),
            "cpus": cpus,
            "connected": whole(found["connected"]),
            "busiest_role": text(found["busiest_role"]) or "nobody",
        },
    )


def connection_limit_oversized(context: ProbeContext) -> Sequence[RawRow]:
    """One row: the limit, and the most sessions that we have seen."""
    found = context.fetch(_SQL, limit=1)[0]
    peak = context.memory.of(_Peak)
    connected = whole(found["connected"]) or 0
    peak.sessions = max(peak.sessions, connected)
    try:
        hint = f"; a pool of {2 * _cpus(context, found) + 1:.0f} keeps its {_cpus(context, found):g} cores busy"
    except UnknownMachineError:
        hint = ""
    return (
        {
            "allowed": number(found["allowed"]),
            "used": connected,
            "peak": peak.sessions,
            "observed_seconds": time.monotonic() - peak.since,
            "hint": hint,
        },
    )


def _cpus(context: ProbeContext, found: RawRow) -> float:
    """The cores the configuration names, those of our machine when it runs here, or what its own machine tells."""
    if context.target.machine.cpus is not None:
        return float(context.target.machine.cpus)
    backend = Backend(
        whole(found["pid"]) or 0, str(found["session_name"]), str(found["database"]), whole(found["client_port"])
    )
    try:
        return local_cpus(backend)
    except UnknownMachineError:
        told = context.machine()
        if told is None or told.cpus is None:
            raise
        return told.cpus
