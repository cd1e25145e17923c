"""Owns reading whether data reach the disk, out of INFO and the setting `save`. Judges nothing.

Texts are evidence for a person, in plain words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dbwatch.engines.redis.commands import Fields, fields_of
from dbwatch.engines.redis.fields import flag, number
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import duration_text

SavePoints: TypeAlias = tuple[tuple[float, float], ...]
"""Of the setting `save`: after so many seconds, if there are so many changes."""

_HABIT_SECONDS = 43_200.0
"""The interval between snapshots that is taken for granted where saving is a habit and `save` may not be read."""
_START_SECONDS = 1.0
"""A server sets the time of its last save to its start, by a clock of whole seconds."""


def look_at_persistence(context: ProbeContext) -> tuple[RawRow, ...]:
    """The row, with the setting `save` where this user may read it."""
    if context.info.get("aof_enabled") != "0":
        return persistence(context.info)
    try:
        points = save_points(context)
    except Skipped:
        points = None
    return persistence(context.info, points)


def look_at_lack(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row: whether anything of this server outlives it."""
    info = context.info
    points = save_points(context)
    policy = info.get("maxmemory_policy")
    aof_on = flag(info, "aof_enabled", "1")
    row: RawRow = {
        "kept": None if aof_on is None else float(aof_on == 1.0 or bool(points)),
        "evicts_any_key": None if policy is None else float(policy.startswith("allkeys-")),
        "keys": key_count(info),
        "replicas": number(info, "connected_slaves"),
    }
    return (row,)


def save_points(context: ProbeContext) -> SavePoints:
    """What `save` says; () when snapshots are off. Raises Skipped where this user or server does not tell."""
    text = fields_of(context.ask("CONFIG GET", "save")).get("save")
    if text is None:
        raise Skipped(Reason.PLATFORM, "this server does not tell the setting `save`")
    words = [float(word) for word in text.split() if word.isdigit()]
    return tuple(zip(words[::2], words[1::2], strict=False))


def key_count(info: Fields) -> float:
    """Keys in all databases."""
    counts = (number(info, name) for name in info if name.startswith("db") and name.endswith(".keys"))
    return sum(count for count in counts if count is not None)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Changes that no snapshot holds: for how long, and how long they should wait at most."""

    seconds: float
    interval: float


def persistence(info: Fields, points: SavePoints | None = None) -> tuple[RawRow, ...]:
    """Whether what is in memory reaches the disk."""
    aof_on = flag(info, "aof_enabled", "1")
    saved = _ever_saved(info)
    snapshot_ok = flag(info, "rdb_last_bgsave_status", "ok")
    if snapshot_ok == 1.0 and not saved:
        snapshot_ok = None  # a server that never saved says `ok` too
    write_ok = flag(info, "aof_last_write_status", "ok") if aof_on else None
    rewrite_ok = flag(info, "aof_last_bgrewrite_status", "ok") if aof_on else None
    failures = number(info, "aof_rewrites_consecutive_failures") if aof_on else None
    age = _age(info)
    waiting = _waiting(info, points, age) if aof_on == 0.0 else None
    row: RawRow = {
        "snapshot_ok": snapshot_ok,
        "snapshot_age_seconds": age if saved else None,
        "unsaved_changes": number(info, "rdb_changes_since_last_save"),
        "unsaved_seconds": waiting.seconds if waiting is not None else None,
        "save_interval_seconds": waiting.interval if waiting is not None else None,
        "aof_enabled": aof_on,
        "aof_write_ok": write_ok,
        "aof_rewrite_ok": rewrite_ok,
        "aof_rewrite_failures": failures,
        "problem": _problem(snapshot_ok, write_ok, rewrite_ok, failures) or _wait_text(waiting, saved=saved),
    }
    return (row,)


def _age(info: Fields) -> float | None:
    """Time since memory and disk last agreed: the last save, or the start."""
    saved_at, now = number(info, "rdb_last_save_time"), number(info, "server_time_usec")
    return max(0.0, now / 1e6 - saved_at) if saved_at is not None and now is not None else None


def _ever_saved(info: Fields) -> bool:
    """Whether a snapshot was written since the start.

    No field says so. Without a save the time of the last one is the start; a copy for a replica that went over the
    network sets the duration of the last one all the same; and CONFIG RESETSTAT makes `rdb_saves` 0.
    """
    saves, age, uptime = number(info, "rdb_saves"), _age(info), number(info, "uptime_in_seconds")
    if saves:
        return True
    if age is not None and uptime is not None and uptime - age > _START_SECONDS:
        return True
    took = number(info, "rdb_last_bgsave_time_sec")
    return saves is None and took is not None and took >= 0 and not number(info, "sync_full")


def _waiting(info: Fields, points: SavePoints | None, age: float | None) -> _Waiting | None:
    changes = number(info, "rdb_changes_since_last_save")
    if not changes or age is None:
        return None
    if points is None:
        interval = _HABIT_SECONDS if _saves_by_itself(info) else None
    else:
        interval = max((seconds for seconds, least in points if changes >= least), default=None)
    running = max(0.0, number(info, "rdb_current_bgsave_time_sec") or 0.0)
    return _Waiting(max(0.0, age - running), interval) if interval is not None else None


def _saves_by_itself(info: Fields) -> bool:
    """True when snapshots are a habit here: two or more since the start that no replica asked for.

    INFO does not show the setting `save`, and reading it needs CONFIG, which a monitor may not have. One
    snapshot may be somebody's BGSAVE, and a full resync makes one too; both would raise a false "old
    snapshot" a day later.
    """
    saves, syncs = number(info, "rdb_saves"), number(info, "sync_full")
    return saves is not None and syncs is not None and saves - syncs >= 2


def _problem(
    snapshot_ok: float | None, write_ok: float | None, rewrite_ok: float | None, failures: float | None
) -> str | None:
    problems = []
    if snapshot_ok == 0.0:
        problems.append("the last snapshot to disk (RDB) failed, and by default writes are refused until one succeeds")
    if write_ok == 0.0:
        problems.append("the last write to the append-only file failed, and writes are refused until one succeeds")
    if rewrite_ok == 0.0:
        last = f"last {failures:.0f} rewrites" if failures is not None and failures > 1 else "last rewrite"
        problems.append(f"the {last} of the append-only file failed, so the file only grows")
    return "; ".join(problems) or None


def _wait_text(waiting: _Waiting | None, *, saved: bool) -> str | None:
    if waiting is None:
        return None
    age = duration_text(waiting.seconds)
    return f"the last snapshot is {age} old" if saved else f"no snapshot was written since the start {age} ago"
