"""Owns noticing two primaries of one cluster, by what the targets of this process tell each other. Judges nothing.

Two looks at different times prove nothing: between them the one may have been stopped and the other promoted. So a
server tells since when it has been a primary for sure, and only times that overlap count.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.identity import TIMELINE
from dbwatch.engines.postgres.rows import number, whole
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason, Role

_STALE_SECONDS = 60.0

_PRIMARY = """
-- Privilege: pg_monitor, for the start of the launchers: both run on a server that takes writes only.
select
  pg_catalog.pg_is_in_recovery() as in_recovery,
  extract(epoch from pg_catalog.pg_postmaster_start_time())::float8 as started_at,
  {timeline} as timeline,
  (
    select extract(epoch from pg_catalog.clock_timestamp() - min(a.backend_start))::float8
    from pg_catalog.pg_stat_activity as a
    where a.backend_type in ('autovacuum launcher', 'logical replication launcher')
  ) as primary_seconds
"""


@dataclass(frozen=True, slots=True)
class Primary:
    """A target that is a primary, since `since` at the latest (monotonic clock).

    `started_at` is the server's own start to the microsecond: two targets with the same are two ways to one server.
    """

    started_at: float
    timeline: int | None
    since: float
    is_declared: bool


@dataclass(slots=True)
class _Since:
    """Since when this target has been seen as the primary it is."""

    started_at: float | None = None
    at: float = 0.0


def split_brain(context: ProbeContext) -> Sequence[RawRow]:
    """One row of a primary: how many watched servers of its cluster are primaries at the same time."""
    cluster = context.cluster
    if cluster is None:
        raise Skipped(Reason.PLATFORM, "the server does not tell its system identifier, so its cluster is not known")
    timeline = TIMELINE if context.facts.flavour != "aurora" else "null::int"
    found = context.fetch(_PRIMARY.format(timeline=timeline), limit=1)[0]
    if found["in_recovery"]:
        raise Skipped(Reason.ROLE, "runs on a primary, this is a standby")
    own = _told(context, number(found["started_at"]) or 0.0, whole(found["timeline"]), number(found["primary_seconds"]))
    cluster.tell(context.target.name, own)
    others = other_primaries(cluster, context.target.name, own, max(_STALE_SECONDS, 3 * context.check.every))
    names = ", ".join(f"{name} (timeline {_timeline(other)})" for name, other in others)
    return (
        {
            "primaries": 1 + len({other.started_at for _, other in others}),
            "timeline": own.timeline,
            "others": names or None,
        },
    )


def other_primaries(cluster: Cluster, name: str, own: Primary, stale_seconds: float) -> list[tuple[str, Primary]]:
    """The targets that are another server and were a primary while `own` was one, by name."""
    return sorted(
        (other_name, told.value)
        for other_name, told in cluster.told(Primary, within_seconds=stale_seconds).items()
        if other_name != name
        and told.value.started_at != own.started_at
        and told.at >= own.since
        and not (told.value.is_declared and own.is_declared)
    )


def _told(context: ProbeContext, started_at: float, timeline: int | None, primary_seconds: float | None) -> Primary:
    now = time.monotonic()
    seen = context.memory.of(_Since)
    if seen.started_at != started_at:
        seen.started_at, seen.at = started_at, now
    since = min(seen.at, now - primary_seconds) if primary_seconds is not None else seen.at
    return Primary(started_at, timeline, since, context.target.expect.role is Role.PRIMARY)


def _timeline(primary: Primary) -> str:
    return "unknown" if primary.timeline is None else str(primary.timeline)
