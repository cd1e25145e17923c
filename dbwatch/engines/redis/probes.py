"""Owns the measurements that a field mapping cannot say, by the name a check file gives. Pure: INFO in, rows out.

Every number is NULL when this server does not tell it. Texts are evidence for a person, in plain words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from dbwatch.engines.redis import versions
from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.replication import replication
from dbwatch.model import RawRow
from dbwatch.units import duration_text

Probe: TypeAlias = Callable[[Fields], tuple[RawRow, ...]]


def memory(info: Fields) -> tuple[RawRow, ...]:
    """Memory against its limit, as eviction counts it: buffers of replicas and of the AOF are not in it.

    `maxmemory` 0 means no limit, which is NULL here: a share of nothing is not a number.
    """
    used = number(info, "used_memory")
    uncounted = number(info, "mem_not_counted_for_evict") or 0.0
    policy = info.get("maxmemory_policy")
    keys = [number(info, name) for name in info if name.startswith("db") and name.endswith(".keys")]
    limit = number(info, "maxmemory") or None
    row: RawRow = {
        "used_bytes": used,
        "counted_bytes": None if used is None else max(0.0, used - uncounted),
        "max_bytes": limit,
        "resident_bytes": number(info, "used_memory_rss"),
        "evicts_any_key": None if policy is None else float(policy.startswith("allkeys-")),
        "keys": sum(count for count in keys if count is not None),
        "evicted_keys": number(info, "evicted_keys"),
        "oom_errors": _error_count(info, "OOM"),
        "larger_bytes": None if limit is None else float(round(limit * 1.5)),
        "policy": policy,
    }
    return (row,)


def persistence(info: Fields) -> tuple[RawRow, ...]:
    """Whether what is in memory reaches the disk."""
    aof_on = _flag(info, "aof_enabled", "1")
    snapshot_ok = _flag(info, "rdb_last_bgsave_status", "ok")
    write_ok = _flag(info, "aof_last_write_status", "ok") if aof_on else None
    rewrite_ok = _flag(info, "aof_last_bgrewrite_status", "ok") if aof_on else None
    saved_at, now = number(info, "rdb_last_save_time"), number(info, "server_time_usec")
    # A server that has not saved since its start tells its start as the time of the last save.
    save_took, saves = number(info, "rdb_last_bgsave_time_sec"), number(info, "rdb_saves")
    ever_saved = (save_took is not None and save_took >= 0) or bool(saves)
    age = max(0.0, now / 1e6 - saved_at) if ever_saved and saved_at is not None and now is not None else None
    changes = number(info, "rdb_changes_since_last_save")
    waiting = age if aof_on == 0.0 and changes and _saves_by_itself(info) else None
    row: RawRow = {
        "snapshot_ok": snapshot_ok,
        "snapshot_age_seconds": age,
        "unsaved_changes": changes,
        "unsaved_seconds": waiting,
        "aof_enabled": aof_on,
        "aof_write_ok": write_ok,
        "aof_rewrite_ok": rewrite_ok,
        "problem": _persistence_problem(snapshot_ok, write_ok, rewrite_ok, waiting),
    }
    return (row,)


def _saves_by_itself(info: Fields) -> bool:
    """True when snapshots are a habit here: two or more since the start that no replica asked for.

    INFO does not show the `save` setting, and reading it needs CONFIG, which a monitor is not given. One
    snapshot may be somebody's BGSAVE, and a full resync makes one too; both would raise a false "old
    snapshot" a day later.
    """
    saves, syncs = number(info, "rdb_saves"), number(info, "sync_full")
    return saves is not None and syncs is not None and saves - syncs >= 2


def _persistence_problem(
    snapshot_ok: float | None, write_ok: float | None, rewrite_ok: float | None, waiting: float | None
) -> str | None:
    problems = []
    if snapshot_ok == 0.0:
        problems.append("the last snapshot to disk (RDB) failed, and by default writes are refused until one succeeds")
    if write_ok == 0.0:
        problems.append("the last write to the append-only file failed, and writes are refused until one succeeds")
    if rewrite_ok == 0.0:
        problems.append("the last rewrite of the append-only file failed, so the file only grows")
    if not problems and waiting is not None:
        problems.append(f"the last snapshot is {duration_text(waiting)} old")
    return "; ".join(problems) or None


def _flag(info: Fields, name: str, wanted: str) -> float | None:
    text = info.get(name)
    return None if text is None else float(text == wanted)


def _error_count(info: Fields, code: str) -> float | None:
    """How often clients were answered with this error; 0 when never, NULL when the server does not count."""
    if "total_error_replies" not in info or "errorstat_ERRORSTATS_DISABLED" in info:
        return None
    return number(info, f"errorstat_{code}.count") or 0.0


PROBES: Mapping[str, Probe] = {
    "memory": memory,
    "persistence": persistence,
    "replication": replication,
    "version_outdated": versions.outdated,
    "version_unsupported": versions.unsupported,
}
