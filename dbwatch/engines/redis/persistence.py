"""Owns reading whether data reach the disk out of INFO. Pure. Texts are evidence for a person, in plain words."""

from __future__ import annotations

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import flag, number
from dbwatch.model import RawRow
from dbwatch.units import duration_text


def persistence(info: Fields) -> tuple[RawRow, ...]:
    """Whether what is in memory reaches the disk."""
    aof_on = flag(info, "aof_enabled", "1")
    snapshot_ok = flag(info, "rdb_last_bgsave_status", "ok")
    write_ok = flag(info, "aof_last_write_status", "ok") if aof_on else None
    rewrite_ok = flag(info, "aof_last_bgrewrite_status", "ok") if aof_on else None
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
