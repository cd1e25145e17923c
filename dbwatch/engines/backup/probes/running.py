"""Owns the rows that say whether a tool makes a backup now, and for how long. Judges nothing."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Sequence

from dbwatch.engines.backup.context import BackupContext, Told, reachable
from dbwatch.engines.backup.record import Kind, Running, SourceName, State
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import bytes_text, duration_text

_FILES = (SourceName.DUMPS, SourceName.MARKER)


class FirstSeen:
    """When a backup under way was seen for the first time, for tools that do not say when it began."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str, str], float] = {}

    def since(self, key: tuple[str, str, str], now_seconds: float, *, runs: bool) -> float | None:
        if not runs:
            self._since.pop(key, None)
            return None
        return self._since.setdefault(key, now_seconds)

    def forget_ended(self, source: str, name: str, running: Collection[str]) -> None:
        """A repository that is named only while a backup goes there has no row that could say it has ended."""
        ended = [key for key in self._since if key[:2] == (source, name) and key[2] not in running]
        for key in ended:
            del self._since[key]


def running(context: BackupContext) -> Sequence[RawRow]:
    """A row for each repository of each tool. Skipped where there is no tool."""
    rows: list[RawRow] = []
    for told in context.told:
        if told.seen.source in _FILES:
            continue
        busy = {one.repository for one in told.seen.running}
        context.memory.of(FirstSeen).forget_ended(str(told.seen.source), told.seen.name, busy)
        names = sorted({repository.name for repository in reachable(told.seen)} | busy)
        rows += [_row(context, told, name, [r for r in told.seen.running if r.repository == name]) for name in names]
    if not rows:
        raise Skipped(Reason.SETTING, "dump files and markers do not tell when a backup began")
    return rows


def _row(context: BackupContext, told: Told, repository: str, under_way: Sequence[Running]) -> RawRow:
    seen = told.seen
    key = (str(seen.source), seen.name, repository)
    first = context.memory.of(FirstSeen).since(key, context.now_seconds, runs=bool(under_way))
    begun = [one.since_seconds for one in under_way if one.since_seconds is not None]
    since = min(begun, default=first)
    seconds = None if since is None else max(0.0, context.now_seconds - since)
    usual = _usual(told, repository, under_way[0].kind if under_way else None)
    where = " ".join(part for part in key if part)
    return {
        "source": key[0],
        "name": seen.name,
        "repository": repository,
        "running": float(len(under_way)),
        "running_seconds": seconds,
        "usual_seconds": usual,
        "look": seen.command or "",
        "sentence": f"{where}: {_sentence(under_way, seconds, usual)}",
    }


def _usual(told: Told, repository: str, kind: Kind | None) -> float | None:
    """The median duration of the backups of this kind; of all when the kind is not told."""
    seconds = [
        backup.finished_at_seconds - backup.started_at_seconds
        for backup in told.seen.backups
        if backup.repository == repository
        and backup.state is State.DONE
        and (kind is None or backup.kind is kind)
        and backup.finished_at_seconds is not None
        and backup.started_at_seconds is not None
    ]
    return max(0.0, statistics.median(seconds)) if seconds else None


def _sentence(under_way: Sequence[Running], seconds: float | None, usual: float | None) -> str:
    if not under_way or seconds is None:
        return "no backup is under way"
    kind = f"a backup ({under_way[0].kind})" if under_way[0].kind is not None else "a backup"
    usually = f", usually {duration_text(usual)}" if usual is not None else ""
    done, total = under_way[0].done_bytes, under_way[0].total_bytes
    progress = f", {bytes_text(done)} of {bytes_text(total)} done" if done is not None and total else ""
    return f"{kind} has been under way for {duration_text(seconds)}{usually}{progress}"
