"""Owns reading what snapshots and rewrites cost while they run: their time and their memory. Judges nothing."""

from __future__ import annotations

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.model import RawRow

_COPIES = ("rdb_last_cow_size", "aof_last_cow_size", "current_cow_peak", "current_cow_size")


def running(info: Fields) -> tuple[RawRow, ...]:
    """One row: how long the snapshot or the rewrite of the append-only file that runs now has been running."""
    rows = {
        "snapshot": ("rdb_current_bgsave_time_sec", "rdb_last_bgsave_time_sec"),
        "rewrite of the append-only file": ("aof_current_rewrite_time_sec", "aof_last_rewrite_time_sec"),
    }
    kind = next((name for name, (current, _) in rows.items() if _seconds(info, current) is not None), None)
    known = any(current in info for current, _ in rows.values())
    done, total = number(info, "current_save_keys_processed"), number(info, "current_save_keys_total")
    row: RawRow = {
        "is_running": float(kind is not None) if known else None,
        "running_seconds": _seconds(info, rows[kind][0]) if kind is not None else None,
        "last_seconds": _seconds(info, rows[kind][1]) if kind is not None else None,
        "done_ratio": done / total if kind is not None and done is not None and total else None,
        "kind": kind,
    }
    return (row,)


def copies(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row: the memory a snapshot needs beside the server's own, and the most there can be left for it."""
    info = context.info
    needed = [size for name in _COPIES if (size := number(info, name))]
    resident = number(info, "used_memory_rss")
    told = context.target.machine.memory_bytes or context.machine_bytes()
    memory = told or number(info, "total_system_memory") or None
    row: RawRow = {
        "copied_bytes": max(needed, default=None),
        "resident_bytes": resident,
        "memory_bytes": memory,
        "left_bytes": None if memory is None or resident is None else max(0.0, memory - resident),
    }
    return (row,)


def _seconds(info: Fields, name: str) -> float | None:
    """Redis says -1 for none."""
    seconds = number(info, name)
    return seconds if seconds is not None and seconds >= 0 else None
