"""Owns holding what slots keep against the room on the volume of the log, which a watched machine tells.

The server cannot see its disk; a target of `engine: host` can. A slot that its own limit ends before the disk is full
fills nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbwatch.engines.hosts import VolumeSpace
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.slots import SlotGrowth
from dbwatch.engines.postgres.rows import number
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import bytes_text

_SLOTS = """
-- Needs no privilege. Lock: none. How much log each slot keeps, and how much more until max_slot_wal_keep_size ends it.
select
  s.slot_name::text as slot,
  case when s.active then 1 else 0 end as active,
  greatest(
    pg_catalog.pg_wal_lsn_diff(
      case
        when pg_catalog.pg_is_in_recovery()
          then greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
        else pg_catalog.pg_current_wal_lsn()
      end,
      s.restart_lsn
    ),
    0
  )::float8 as retained_bytes,
  case
    when pg_catalog.current_setting('max_slot_wal_keep_size') <> '-1' then s.safe_wal_size::float8
  end as safe_bytes
from pg_catalog.pg_replication_slots as s
where not s.temporary
  and s.restart_lsn is not null
  and s.wal_status is distinct from 'lost'
order by
  3 desc,
  1
"""


class _Growth(SlotGrowth):
    """A memory of its own: two checks look at different moments."""


def slot_filling_volume(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each slot that keeps log, with the time until it has filled the volume. Raises Skipped."""
    told = context.machine()
    volume = told.wal_volume if told is not None else None
    if volume is None:
        text = "no target of `engine: host` names this one in `of:` and a volume called `wal` or `data`"
        raise Skipped(Reason.SETTING, text)
    rows = context.fetch(_SLOTS, limit=context.check.limit)
    at = time.monotonic()
    growth = context.memory.of(_Growth)
    growth.keep([str(row["slot"]) for row in rows])
    return [
        _row(row, growth.per_second(str(row["slot"]), at, number(row["retained_bytes"]) or 0.0), volume) for row in rows
    ]


def _row(row: RawRow, growth: float | None, volume: VolumeSpace) -> RawRow:
    retained, safe = number(row["retained_bytes"]) or 0.0, number(row["safe_bytes"])
    ends_first = safe is not None and safe < volume.available_bytes
    grows = growth is not None and growth > 0
    limit = "max_slot_wal_keep_size ends it before" if ends_first else "no limit ends it before"
    return {
        "slot": row["slot"],
        "share_ratio": retained / volume.size_bytes if volume.size_bytes > 0 else None,
        "room_bytes": volume.available_bytes,
        "fill_seconds": volume.available_bytes / growth if grows and growth and not ends_first else None,
        "active": row["active"],
        "retained_bytes": retained,
        "volume": volume.path,
        "fate": f"{limit}, growing at {bytes_text(growth)}/s" if growth is not None and growth > 0 else limit,
    }
