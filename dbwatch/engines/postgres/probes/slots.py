"""Owns the rows of replication_slot and replication_slot_inactive: what slots keep, how fast, for whom. Judges nothing.

A slot's loss is foretold from how fast the log it keeps has grown over the last minutes, since one interval holds one
burst; and servers before 17 do not tell since when a slot has been idle, so we remember since when we have seen it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number
from dbwatch.model import RawRow
from dbwatch.template import Template
from dbwatch.units import bytes_text, duration_text

_WINDOW_SECONDS = 600.0
_MOST_READINGS = 64
_SHORTEST_SECONDS = 0.02

_CONSUMER = Template.parse(
    "SELECT r.pid, r.application_name, r.client_addr, r.state, r.flush_lsn FROM pg_replication_slots AS s"
    " JOIN pg_stat_replication AS r ON r.pid = s.active_pid WHERE s.slot_name = {slot:literal};"
    "  -- the consumer that is behind"
)
_DROP = Template.parse("SELECT pg_drop_replication_slot({slot:literal});  -- only if its consumer is gone for good")

_SLOTS = """
-- Needs no privilege. Lock: none. Temporary slots belong to a session. A slot that was never used, or is lost, keeps no
-- log. to_jsonb() reads columns that older servers do not have as null.
with here as materialized (
  select
    case
      when pg_catalog.pg_is_in_recovery()
        then greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
      else pg_catalog.pg_current_wal_lsn()
    end as lsn
)
select
  s.slot_name::text as slot,
  case when s.active then 1 else 0 end as active,
  s.slot_type || coalesce(' in ' || s.database::text, '') as slot_type,
  s.wal_status,
  greatest(pg_catalog.pg_wal_lsn_diff(h.lsn, s.restart_lsn), 0)::float8 as retained_bytes,
  pg_catalog.pg_wal_lsn_diff(s.restart_lsn, '0/0')::float8 as position_bytes,
  case
    when pg_catalog.current_setting('max_slot_wal_keep_size') <> '-1' then s.safe_wal_size::float8
  end as safe_bytes,
  case when s.wal_status = 'unreserved' then 1 else 0 end as unreserved,
  pg_catalog.age(s.xmin) as xmin_age,
  pg_catalog.age(s.catalog_xmin) as catalog_xmin_age,
  extract(
    epoch from pg_catalog.clock_timestamp()
    - (pg_catalog.to_jsonb(s) ->> 'inactive_since')::timestamptz
  )::float8 as inactive_seconds
from pg_catalog.pg_replication_slots as s
cross join here as h
where not s.temporary
  and s.restart_lsn is not null
  and s.wal_status is distinct from 'lost'
order by
  5 desc,
  1
"""


@dataclass(slots=True)
class SlotGrowth:
    """What each slot kept, and when (monotonic): ten minutes of it."""

    readings: dict[str, deque[tuple[float, float]]] = field(default_factory=dict)

    def per_second(self, slot: str, at: float, retained: float) -> float | None:
        """How fast what it keeps grows, or shrinks; None at the first look."""
        past = self.readings.setdefault(slot, deque(maxlen=_MOST_READINGS))
        past.append((at, retained))
        while at - past[0][0] > _WINDOW_SECONDS:
            past.popleft()
        first_at, first = past[0]
        return (retained - first) / (at - first_at) if at - first_at >= _SHORTEST_SECONDS else None

    def keep(self, slots: Sequence[str]) -> None:
        self.readings = {slot: past for slot, past in self.readings.items() if slot in slots}


@dataclass(slots=True)
class SlotIdleness:
    """Since when (monotonic) each slot has been seen without a consumer."""

    since: dict[str, float] = field(default_factory=dict)


def replication_slot(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each slot that keeps log, the most first."""
    rows = context.fetch(_SLOTS, limit=context.check.limit)
    at = time.monotonic()
    growth = context.memory.of(SlotGrowth)
    growth.keep([str(row["slot"]) for row in rows])
    return [
        _retention(row, growth.per_second(str(row["slot"]), at, number(row["retained_bytes"]) or 0.0)) for row in rows
    ]


def _retention(row: RawRow, growth: float | None) -> RawRow:
    safe = number(row["safe_bytes"])
    loss = None
    if safe is not None and growth is not None and growth > 0:
        loss = max(0.0, safe) / growth
    return {
        "slot": row["slot"],
        "active": row["active"],
        "retained_bytes": row["retained_bytes"],
        "safe_bytes": safe,
        "loss_seconds": loss,
        "unreserved": row["unreserved"],
        "unlimited": 1 if safe is None else 0,
        "position_bytes": row["position_bytes"],
        "xmin_age": row["xmin_age"],
        "catalog_xmin_age": row["catalog_xmin_age"],
        "slot_type": row["slot_type"],
        "fate": _fate(row, safe, growth, loss),
        "remedy": _remedy(row),
    }


def _fate(row: RawRow, safe: float | None, growth: float | None, loss: float | None) -> str:
    """The rest of "keeps 38 GiB of WAL …"."""
    pace = f" at {bytes_text(growth)}/s" if growth is not None and growth > 0 else ""
    if row["unreserved"]:
        return "and is lost at the next checkpoint"
    if loss is not None:
        return f"and is lost in about {duration_text(loss)}{pace}"
    if safe is not None:
        return f"and may keep {bytes_text(safe)} more"
    grows = f", growing{pace}" if pace else ""
    return f"and nothing limits it{grows}"


def _remedy(row: RawRow) -> str:
    return (_CONSUMER if row["active"] else _DROP).render({"slot": str(row["slot"])})


def replication_slot_inactive(context: ProbeContext) -> Sequence[RawRow]:
    """A row for each slot that keeps log, with how long nobody has used it."""
    rows = context.fetch(_SLOTS, limit=context.check.limit)
    at = time.monotonic()
    memory = context.memory.of(SlotIdleness)
    idle = [str(row["slot"]) for row in rows if not row["active"]]
    memory.since = {slot: memory.since.get(slot, at) for slot in idle}
    found: list[RawRow] = []
    for row in rows:
        slot = str(row["slot"])
        seconds = 0.0
        if not row["active"]:
            told = number(row["inactive_seconds"])
            seconds = max(0.0, told if told is not None else at - memory.since[slot])
        found.append(
            {
                "slot": slot,
                "inactive_seconds": seconds,
                "retained_bytes": row["retained_bytes"],
                "slot_type": row["slot_type"],
                "xmin_age": max(
                    (age for age in (number(row["xmin_age"]), number(row["catalog_xmin_age"])) if age is not None),
                    default=None,
                ),
            }
        )
    return found
