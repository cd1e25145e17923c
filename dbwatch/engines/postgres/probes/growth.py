"""Owns how large every database is and how fast it grew while we watched. Judges nothing.

A load or a restore grows fast for hours, a leak for days: the speed told is that of three days without the 20 hours in
which it grew most, wherever these lie, so it is not known before the third day. Two nights are further apart than that,
so what grows every night is seen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbwatch.engines.postgres.history import History
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.model import RawRow

_DAY = 86_400.0
_STEP = _DAY / 12
_WATCHED = 3 * _DAY
_RUSH = 20 * 3_600.0
_MOST_DATABASES = 1_000

_SQL = """
-- Privilege: CONNECT to a database, or pg_read_all_stats; without either it is left out. Lock: none. Walks the files of
-- each database on the server's disk, some 5 us a file. One whose DROP was interrupted (datconnlimit -2) is left out.
select
  d.datname::text as database,
  pg_catalog.pg_database_size(d.oid)::float8 as size_bytes
from pg_catalog.pg_database as d
where d.datconnlimit <> -2
  and (
    pg_catalog.has_database_privilege(d.oid, 'connect')
    or pg_catalog.pg_has_role('pg_read_all_stats', 'usage')
  )
order by
  2 desc,
  d.datname
"""


class GrowthMemory:
    """The sizes of one target's databases over the last days."""

    def __init__(self) -> None:
        self.sizes: History[str] = History(
            span_seconds=4 * _DAY, step_seconds=_STEP, most=_MOST_DATABASES, only_grows=False
        )


def database_growth(context: ProbeContext) -> Sequence[RawRow]:
    """One row a database, the largest first."""
    sizes = context.memory.of(GrowthMemory).sizes
    now = time.monotonic()
    rows: list[RawRow] = []
    for row in context.fetch(_SQL, limit=context.check.limit):
        if row["size_bytes"] is None:
            continue  # dropped meanwhile
        database, size = str(row["database"]), float(str(row["size_bytes"]))
        sizes.add(database, size, now)
        speed = sizes.speed_beside_rush(database, size, now, _WATCHED, _RUSH)
        rows.append(
            {
                "database": database,
                "size_bytes": size,
                "growth_bytes_per_second": speed,
                "growth_bytes_per_day": None if speed is None else speed * _DAY,
                "doubling_seconds": size / speed if speed is not None and speed > 0 else None,
            }
        )
    return rows
