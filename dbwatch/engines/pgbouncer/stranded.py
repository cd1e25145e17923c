"""Owns pools whose clients wait while not one connection to their server stands: since when. Judges nothing.

`maxwait` tells it of clients that have asked something; of those that still log in it says 0, so their own times are
read. A client may give up and come again, so what was seen at the looks before counts as well.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from dbwatch.config.url import CONSOLE
from dbwatch.engines.pgbouncer.console import Cells, Shown, text
from dbwatch.engines.pgbouncer.pools import Pool, pools_of
from dbwatch.engines.pgbouncer.probe import ProbeContext, Rows

_TIME: Final = "%Y-%m-%d %H:%M:%S"
_TIME_LENGTH: Final = 19
_Key = tuple[str, str]


class StrandedPools:
    """Since when each pool has been found so, look after look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._now = clock
        self._since: dict[_Key, float] = {}

    def seconds(self, stranded: Sequence[Pool]) -> Mapping[_Key, float]:
        """How long, of those that are so now; the others are forgotten."""
        now = self._now()
        self._since = {_key(pool): self._since.get(_key(pool), now) for pool in stranded}
        return {key: now - since for key, since in self._since.items()}


def pool_without_server(context: ProbeContext) -> Rows:
    """A row a pool: since when clients wait in it while it has not one connection to its server, 0 when it has."""
    pools = pools_of(context)
    stranded = [pool for pool in pools if pool.waiting and not pool.servers and not pool.paused]
    seen = context.memory.of(StrandedPools).seconds(stranded)
    logging_in: Mapping[_Key, float] = {}
    if any(not pool.longest_wait_seconds for pool in stranded):
        logging_in = waits(context.show("SHOW CLIENTS").having("user", "database", "state", "request_time"))
    times = {
        _key(pool): max(pool.longest_wait_seconds, seen[_key(pool)], logging_in.get(_key(pool), 0.0))
        for pool in stranded
    }
    return tuple(
        {
            "database": pool.database,
            "role": pool.role,
            "stranded_seconds": times.get(_key(pool), 0.0),
            "logging_in": pool.logging_in,
            "waiting": pool.waiting,
            "place": pool.place,
        }
        for pool in sorted(pools, key=lambda pool: -times.get(_key(pool), 0.0))
    )


def waits(clients: Shown) -> Mapping[_Key, float]:
    """How long the first client of each pool has waited, in whole seconds, by PgBouncer's own clock.

    That clock is read off our own request, which is the newest of the console.
    """
    own = [asked for row in clients.rows if text(row, "database") == CONSOLE and (asked := _time(row)) is not None]
    found: dict[_Key, float] = {}
    for row in clients.rows:
        asked = _time(row)
        if own and asked is not None and text(row, "state").startswith("waiting"):
            key = (text(row, "database"), text(row, "user"))
            found[key] = max(found.get(key, 0.0), (max(own) - asked).total_seconds())
    return found


def _time(client: Cells) -> datetime.datetime | None:
    """When it asked last, as `2026-11-20 14:57:54 UTC`; the zone is the same for all."""
    try:
        return datetime.datetime.strptime(text(client, "request_time")[:_TIME_LENGTH], _TIME)  # noqa: DTZ007
    except ValueError:
        return None


def _key(pool: Pool) -> _Key:
    return (pool.database, pool.role)
