"""Owns counting the log a server writes or replays, from its position. Judges nothing.

The position itself is no counter: after a promotion, or when another server answers at the address, it can step back,
and the whole log there ever was would seem to be written at once. So the steps forward are added up here.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number
from dbwatch.model import RawRow

_SQL = """
-- Needs no privilege. A standby writes no log of its own, so it has no records and images to count.
select
  pg_catalog.pg_wal_lsn_diff(
    case
      when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
      else pg_catalog.pg_current_wal_insert_lsn()
    end,
    '0/0'
  )::float8 as position_bytes,
  case
    when not pg_catalog.pg_is_in_recovery() then w.wal_records
  end as records,
  case
    when not pg_catalog.pg_is_in_recovery() then w.wal_fpi
  end as full_page_images,
  case
    when not pg_catalog.pg_is_in_recovery() then w.wal_buffers_full
  end as buffer_waits
from pg_catalog.pg_stat_wal as w
"""


class WalMeter:
    """How far the log of one target has gone forward since we look."""

    def __init__(self) -> None:
        self._server: str | None = None
        self._position: float | None = None
        self._total = 0.0

    def advance(self, server: str | None, position: float | None) -> float | None:
        """The log written since the first look; None while the server tells no position."""
        if position is None:
            return None
        if self._position is not None and server == self._server:
            self._total += max(0.0, position - self._position)
        self._server, self._position = server, position
        return self._total


def wal_rate_high(context: ProbeContext) -> Sequence[RawRow]:
    """One row: the log written since the first look, and the server's own counters."""
    seen = context.fetch(_SQL, limit=1)[0]
    meter = context.memory.of(WalMeter)
    total = meter.advance(context.facts.system_identifier, number(seen["position_bytes"]))
    if total is None:
        return []
    row: dict[str, object] = {name: value for name, value in seen.items() if name != "position_bytes"}
    return [{**row, "wal_bytes": total}]
