"""Owns the rows that say how old the newest backup of each kind is, and how big. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbwatch.engines.backup.context import BackupContext, Group, groups, size_of
from dbwatch.engines.backup.record import Backup, SourceName, State
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import bytes_text, duration_text

_FULL_SIZE = frozenset({SourceName.PGBACKREST})
"""Tools that tell of every backup how much it holds, whatever its kind; of others only full ones compare."""


def ages(context: BackupContext) -> Sequence[RawRow]:
    """A row for each backup that has to recur. Where every repository is out of reach nothing is known of any."""
    rows = [row_of(group) for told in context.told for group in groups(told, context.now_seconds)]
    if not rows:
        raise CheckError(Reason.UNREACHABLE, "no repository can be looked at; backup_failed says why", step="look")
    return rows


def row_of(group: Group) -> dict[str, object]:
    done = group.done
    newest = done[0] if done else None
    finished = newest.finished_at_seconds if newest is not None else None
    age = None if finished is None else max(0.0, group.now_seconds - finished)
    return {
        **group.labels,
        "kind": group.kind,
        "never": newest is None,
        "age_seconds": age,
        "timestamp_seconds": finished,
        "duration_seconds": _duration(newest),
        "every_seconds": group.every,
        "complete": float(len(done)),
        "incomplete": float(len(group.backups) - len(done)),
        "look": group.told.seen.command or "",
        "sentence": _sentence(group, newest, age),
    }


def sizes(context: BackupContext) -> Sequence[RawRow]:
    """A row for each series whose sizes can be compared."""
    rows = [row for told in context.told for row in _sizes(tuple(groups(told, context.now_seconds)))]
    if not rows:
        raise Skipped(Reason.SETTING, "there is no finished backup whose size is known")
    return rows


def _sizes(found: Sequence[Group]) -> Iterator[RawRow]:
    for group in found:
        source = group.told.seen.source
        compared = group.kind == "dump" or group.kind == ("any" if source in _FULL_SIZE else "full")
        newest = group.done[0] if group.done else None
        size = size_of(newest) if newest is not None else None
        if not compared or newest is None or size is None:
            continue
        usual = group.usual_bytes
        usually = f", usually {bytes_text(usual)}" if usual is not None else ""
        yield {
            **group.labels,
            "kind": group.kind,
            "newest_bytes": float(size),
            "usual_bytes": usual,
            "stored_bytes": None if newest.stored_bytes is None else float(newest.stored_bytes),
            "look": group.told.seen.command or "",
            "sentence": f"the last backup {newest.label}{group.where} holds {bytes_text(size)}{usually}",
        }


def _duration(backup: Backup | None) -> float | None:
    if backup is None or backup.started_at_seconds is None or backup.finished_at_seconds is None:
        return None
    return max(0.0, backup.finished_at_seconds - backup.started_at_seconds)


def _sentence(group: Group, newest: Backup | None, age_seconds: float | None) -> str:
    """What a person wants to read first, whatever the verdict will be; it names the schedule that was applied."""
    due = duration_text(group.every)
    unfinished = _unfinished(group)
    what = {"dump": "whole backup", "full": "full backup", "any": "backup of any kind"}.get(group.kind, group.kind)
    if newest is None or age_seconds is None:
        if group.kind == "dump":
            return _no_dump(group) + f", one is due after {due}{unfinished}"
        if group.kind == "marker":
            if group.told.seen.troubles:
                return f"{group.told.seen.troubles[0].text}; a new mark is due after {due}"
            return f"the marker{group.where} was never touched, it is due after {due}{unfinished}"
        return f"never a {what}{group.where}, one is due after {due}{unfinished}"
    size = size_of(newest)
    usual = f", usually {bytes_text(group.usual_bytes)}" if group.usual_bytes is not None and size is not None else ""
    held = f" ({bytes_text(size)}{usual})" if size is not None else ""
    late = f"is {duration_text(age_seconds)} old, a new one is due after {due}"
    doubt = f"; it {newest.doubt}" if newest.doubt is not None else ""
    what = what.removeprefix("whole ") if doubt else what
    return (
        f"the last {what}{group.where if group.kind != 'dump' else ''} {newest.label}{held} {late}{doubt}{unfinished}"
    )


def _no_dump(group: Group) -> str:
    of = f" of {group.name}" if group.name else ""
    if group.backups:
        return f"never a whole backup{of}: none of the {len(group.backups)} files is complete"
    return f"never a backup{of}: no file matches {group.told.planned.pattern}"


def _unfinished(group: Group) -> str:
    """The newest attempt, where it is not the newest backup."""
    newest = next(iter(group.backups), None)
    if newest is None or (newest.state is State.DONE and newest in group.done[:1]):
        return ""
    if newest.state is State.DONE:
        return f"; {newest.label} is dated in the future"
    return f"; {newest.label} {newest.error or 'is not finished'}"
