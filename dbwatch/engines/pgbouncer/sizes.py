"""Owns whether pools are larger than their work needs: connections nobody used for an hour, more than the cores can do.

Judges nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dbwatch.engines.pgbouncer.pools import Pool, pools_of
from dbwatch.engines.pgbouncer.probe import ProbeContext, Rows
from dbwatch.errors import Skipped
from dbwatch.model import Reason

WINDOW_SECONDS: Final = 3600.0
_GAP_SECONDS: Final = WINDOW_SECONDS / 2
_MOST_LOOKS: Final = 240


@dataclass(slots=True)
class _Past:
    """When how many connections of a pool lay idle, for an hour; `since` is the first look without a gap."""

    since: float
    looks: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_MOST_LOOKS))


class IdleServers:
    """What was seen of the idle connections of each pool. One that vanished or was long out of sight is forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._now = clock
        self._pools: dict[tuple[str, str], _Past] = {}

    def note(self, pools: tuple[Pool, ...]) -> None:
        now = self._now()
        present = {(pool.database, pool.role) for pool in pools}
        seen = now - _GAP_SECONDS
        self._pools = {key: past for key, past in self._pools.items() if key in present and past.looks[-1][0] >= seen}
        for pool in pools:
            past = self._pools.setdefault((pool.database, pool.role), _Past(now))
            past.looks.append((now, pool.idle))
            while past.looks[0][0] < now - WINDOW_SECONDS:
                past.looks.popleft()

    def spare(self, pool: Pool) -> tuple[float, float]:
        """The fewest that lay idle in the last hour, and how long the pool has been watched."""
        past = self._pools[pool.database, pool.role]
        return min(idle for _, idle in past.looks), self._now() - past.since


def servers_idle(context: ProbeContext) -> Rows:
    """A row a pool: connections that lay idle at every look of the last hour."""
    pools = pools_of(context)
    past = context.memory.of(IdleServers)
    past.note(pools)
    rows = []
    for pool in sorted(pools, key=lambda pool: -past.spare(pool)[0]):
        spare, watched_seconds = past.spare(pool)
        rows.append(
            {
                "database": pool.database,
                "role": pool.role,
                "spare": spare,
                "open_servers": pool.servers,
                "watched_seconds": watched_seconds,
            }
        )
    return tuple(rows)


def pool_oversized(context: ProbeContext) -> Rows:
    """One row: the connections that the pools together may open to one server, and what its cores can do at once."""
    cpus = context.target.machine.cpus
    if cpus is None:
        message = "the cores of the server behind PgBouncer are not known"
        raise Skipped(Reason.PLATFORM, message, remedy="machine: {cpus: …} of the target: the cores of its PostgreSQL")
    allowed: dict[str, float] = {}
    unlimited: dict[str, str] = {}
    pools = pools_of(context)
    for pool in pools:
        allowed[pool.place] = allowed.get(pool.place, 0.0) + (pool.size or 0.0)
        if pool.size is None:
            unlimited[pool.place] = pool.database
    place = max(allowed, key=lambda name: allowed[name], default="its server")
    hint = f", and that of {unlimited[place]} has no limit at all" if place in unlimited else ""
    return (
        {
            "allowed": allowed.get(place, 0.0),
            "cpus": float(cpus),
            "best": 2 * float(cpus) + 1,
            "place": place,
            "pools": float(sum(1 for pool in pools if pool.place == place)),
            "hint": hint,
        },
    )
