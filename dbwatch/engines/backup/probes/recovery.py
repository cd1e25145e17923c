"""Owns the one row that says to which moment a cluster could be recovered: base backup plus archived log.

Log goes by position, and only the server knows when it wrote which; so without a watched server of this cluster the
moment is not known. Where nothing was written since the last archived log, the moment is now.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dbwatch.config.backups import Schedule
from dbwatch.engines.archived import ArchivingTold
from dbwatch.engines.backup.context import BackupContext, Told, ends_of, groups, is_current, reachable
from dbwatch.engines.backup.probes.chain import furthest, reached_by
from dbwatch.engines.backup.record import Backup, State
from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import bytes_text, duration_text

HOUSEKEEPING_BYTES = 2048
"""What a server that nobody uses writes by itself: 776 bytes after a base backup, with a checkpoint some 200 more."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """How far one source reaches. `overdue_seconds` is 0 while nothing is due, None where nothing is promised."""

    age_seconds: float
    overdue_seconds: float | None
    unarchived_bytes: float | None
    sentence: str


def recovery(context: BackupContext) -> Sequence[RawRow]:
    """The best of all sources. Skipped when it cannot be known."""
    by_source = [(told, list(_reaches(context, told))) for told in context.told]
    found = [reach for _, reaches in by_source for reach in reaches]
    if not found:
        raise Skipped(Reason.SETTING, _why_unknown(context))
    best = min(found, key=lambda reach: reach.age_seconds)
    undated = any(told.seen.archives and not reaches for told, reaches in by_source)
    return [
        {
            "age_seconds": best.age_seconds,
            "overdue_seconds": best.overdue_seconds,
            "unarchived_bytes": best.unarchived_bytes,
            "sentence": best.sentence + ("; what archived log adds is not known" if undated else ""),
        }
    ]


def _why_unknown(context: BackupContext) -> str:
    based = any(_base(told, repository.name) for told in context.told for repository in reachable(told.seen))
    if not based:
        return "there is no backup to recover from yet; backup_stale says so"
    return (
        "when the archived log was written is known to its server only: watch that too, with `archive_mode` on,"
        " and name it in `backup_of`"
    )


def _reaches(context: BackupContext, told: Told) -> Iterator[_Reach]:
    if told.seen.archives is None:
        yield from _of_backups(context, told)
        return
    for repository in reachable(told.seen):
        base = _base(told, repository.name)
        if base is None:
            continue
        if any(gap.repository in ("", repository.name) for gap in told.seen.gaps):
            yield _alone(context, base, "beyond it the archived log has a gap")
            continue
        reach = _with_log(context, told, repository.name)
        if reach is not None:
            yield reach


def _base(told: Told, repository: str) -> Backup | None:
    own = [b for b in told.seen.backups if b.repository == repository and is_current(told.seen, b)]
    done = [b for b in own if b.kind.is_base and b.state is State.DONE]
    return max(done, key=ends_of, default=None)


def _of_backups(context: BackupContext, told: Told) -> Iterator[_Reach]:
    """Dumps and markers reach to themselves; of several databases the one that is behind most tells."""
    found = list(groups(told, context.now_seconds))
    newest = [group.done[0] for group in found if group.done]
    if newest and len(newest) == len(found):
        yield _alone(context, min(newest, key=ends_of), "no log is archived here")


def _alone(context: BackupContext, backup: Backup, why: str) -> _Reach:
    age = max(0.0, context.now_seconds - ends_of(backup))
    return _Reach(age, None, None, f"to what {backup.label} holds, {duration_text(age)} ago; {why}")


def _with_log(context: BackupContext, told: Told, repository: str) -> _Reach | None:
    found = context.cluster(told.seen)
    server = furthest(found[1], context.target.backups.server) if found is not None else None
    if found is None or server is None:
        return None
    archives = [archive for archive in told.seen.archives or () if archive.repository in ("", repository)]
    end = reached_by(archives, server.segment_bytes)
    if end is None:
        return None
    log = _Log(found[1], server, context.now_seconds)
    age = log.age_of(end)
    if age is None:
        return None
    overdue, promised = _overdue(log, told.schedule, end, age)
    unarchived = max(0, log.position - end)
    text = f"to {duration_text(age)} ago, {bytes_text(unarchived)} of log are not archived yet; {promised}"
    if age == 0:
        text = f"to now, nothing was written after the last archived log; {promised}"
    return _Reach(age, overdue, float(unarchived), text)


@dataclass(frozen=True, slots=True)
class _Log:
    """When a cluster wrote which part of its log, as far as we watched."""

    cluster: Cluster
    server: ArchivingTold
    now_seconds: float

    @property
    def position(self) -> int:
        last = self.cluster.clock.last
        return max(last[0], self.server.position) if last is not None else self.server.position

    def age_of(self, end: int) -> float | None:
        """How long ago the log went past this position; 0 when it has not, None when that was before we looked."""
        if self.position <= end + HOUSEKEEPING_BYTES:
            return 0.0
        window = self.cluster.clock.passed(end + HOUSEKEEPING_BYTES)
        if window is not None and window.after is not None:
            return max(0.0, time.monotonic() - window.after)
        # The file was whole when the server archived it, so what follows it is younger: it is at least that long ago
        # for a file the server archived late, and about that long ago for any other.
        if self.server.archived_at_seconds is None:
            return None
        return max(0.0, self.now_seconds - self.server.archived_at_seconds)


def _overdue(log: _Log, schedule: Schedule, end: int, age_seconds: float) -> tuple[float | None, str]:
    """How long log has been due, and the promise in words: what is configured, else the server's own."""
    if schedule.wal_every is not None:
        said = f"log is due every {duration_text(schedule.wal_every)} by the configuration"
        return max(0.0, age_seconds - schedule.wal_every), said
    if log.server.timeout_seconds > 0:
        said = f"log is due every {duration_text(log.server.timeout_seconds)} by archive_timeout"
        return max(0.0, age_seconds - log.server.timeout_seconds), said
    since_full = log.age_of(end + log.server.segment_bytes - HOUSEKEEPING_BYTES)
    return since_full, f"log is due when a file of {bytes_text(log.server.segment_bytes)} is full (no archive_timeout)"
