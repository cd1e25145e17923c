"""Owns telling what made checkpoints start during the last hour, in one vocabulary for all versions. Judges nothing.

One interval sees one checkpoint or none, so the counters of the last hour are remembered and told as a window. A
requested checkpoint need not be one the log forced: CHECKPOINT, a base backup and CREATE DATABASE request them as well.
The log written in the window tells them apart.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number
from dbwatch.model import RawRow
from dbwatch.units import BYTE_UNITS

_WINDOW_SECONDS = 3600.0
_MOST_READINGS = 400
_GIB = BYTE_UNITS["GiB"]
_MIB = BYTE_UNITS["MiB"]

_COUNTERS = {
    14: """
  s.checkpoints_timed as timed,
  s.checkpoints_req as requested,
  null::int8 as done,
  s.checkpoint_write_time / 1000 as write_seconds,
  s.checkpoint_sync_time / 1000 as sync_seconds
from pg_catalog.pg_stat_bgwriter as s""",
    17: """
  s.num_timed as timed,
  s.num_requested as requested,
  null::int8 as done,
  s.write_time / 1000 as write_seconds,
  s.sync_time / 1000 as sync_seconds
from pg_catalog.pg_stat_checkpointer as s""",
    18: """
  s.num_timed as timed,
  s.num_requested as requested,
  s.num_done as done,
  s.write_time / 1000 as write_seconds,
  s.sync_time / 1000 as sync_seconds
from pg_catalog.pg_stat_checkpointer as s""",
}

_SQL = """
-- Needs no privilege. Up to 16 the counters are in pg_stat_bgwriter; times are in milliseconds everywhere.
select
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8 as position_bytes,
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size'))::float8 as max_wal_bytes,
  extract(epoch from pg_catalog.current_setting('checkpoint_timeout')::interval)::float8 as timeout_seconds,
  pg_catalog.current_setting('checkpoint_completion_target')::float8 as completion_target,
{counters}
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment of the monotonic clock. `done` leaves out what was skipped for idleness."""

    at: float
    position: float
    timed: float
    requested: float
    done: float | None


@dataclass(frozen=True, slots=True)
class Window:
    """What happened between two readings. `timed` leaves out the skipped where the server tells them."""

    seconds: float
    timed: float
    requested: float
    wal_bytes: float


class CheckpointHour:
    """The readings of the last hour, oldest first. A counter or position that steps back starts anew."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=_MOST_READINGS)

    def add(self, reading: Reading) -> Window:
        """The window that ends with this reading."""
        last = self._readings[-1] if self._readings else reading
        if min(reading.position - last.position, reading.timed - last.timed, reading.requested - last.requested) < 0:
            self._readings.clear()
        self._readings.append(reading)
        while reading.at - self._readings[0].at > _WINDOW_SECONDS:
            self._readings.popleft()
        return _between(self._readings[0], reading)


def _between(first: Reading, last: Reading) -> Window:
    timed, requested = last.timed - first.timed, last.requested - first.requested
    if first.done is not None and last.done is not None:
        timed = min(timed, max(0.0, last.done - first.done - requested))
    return Window(last.at - first.at, timed, requested, last.position - first.position)


def suggested_bytes(window: Window, max_wal_bytes: float, timeout_seconds: float, completion_target: float) -> float:
    """A max_wal_size with which the time, not the log, starts the checkpoints; at least twice the present one.

    A checkpoint starts when max_wal_size / (1 + completion target) has been written since the last.
    """
    a_timeout = window.wal_bytes * timeout_seconds / max(window.seconds, timeout_seconds)
    wanted = max(2 * max_wal_bytes, a_timeout * (1 + completion_target))
    unit = _GIB if wanted >= _GIB else 64 * _MIB
    return math.ceil(wanted / unit) * unit


def checkpoints_forced(context: ProbeContext) -> Sequence[RawRow]:
    """One row: the server's counters, what the last hour brought, and a max_wal_size that would do."""
    version = max(major for major in _COUNTERS if major <= context.facts.major)
    seen = context.fetch(_SQL.replace("{counters}", _COUNTERS[version]), limit=1)[0]
    values = {name: number(value) or 0.0 for name, value in seen.items()}
    reading = Reading(
        time.monotonic(), values["position_bytes"], values["timed"], values["requested"], number(seen["done"])
    )
    window = context.memory.of(CheckpointHour).add(reading)
    suggested = suggested_bytes(window, values["max_wal_bytes"], values["timeout_seconds"], values["completion_target"])
    return [
        {
            "requested": seen["requested"],
            "timed": seen["timed"],
            "done": seen["done"],
            "write_seconds": seen["write_seconds"],
            "sync_seconds": seen["sync_seconds"],
            "window_requested": window.requested,
            "window_timed": window.timed,
            "window_seconds": window.seconds,
            "window_wal_bytes": window.wal_bytes,
            "max_wal_bytes": values["max_wal_bytes"],
            "suggested_megabytes": suggested / _MIB,
        }
    ]
