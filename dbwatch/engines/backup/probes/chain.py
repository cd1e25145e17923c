"""Owns the rows that say whether archived log is whole, and whether it holds what the server says it handed over.

An archive_command may succeed and keep nothing, or fill a store nobody restores from; only the two accounts side by
side show it. What was handed over within the last quarter of an hour may still be on its way.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.archived import ArchivingTold, segment_end
from dbwatch.engines.backup.context import BackupContext, Told, reachable
from dbwatch.engines.backup.record import Archive
from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import bytes_text

ON_ITS_WAY_SECONDS = 900.0
TOLD_SECONDS = 900.0
_MOST_REMEMBERED = 120


class Handed:
    """How far each cluster's log was archived by its own account, and when it said so."""

    def __init__(self) -> None:
        self._said: dict[str, list[tuple[float, int]]] = {}

    def add(self, cluster: str, at_seconds: float, archived_end: int) -> None:
        said = self._said.setdefault(cluster, [])
        if not said or at_seconds > said[-1][0]:
            said.append((at_seconds, archived_end))
        del said[:-_MOST_REMEMBERED]

    def until(self, cluster: str, at_seconds: float) -> int | None:
        """The furthest that was told not later than that."""
        return max((end for at, end in self._said.get(cluster, []) if at <= at_seconds), default=None)


def gaps(context: BackupContext) -> Sequence[RawRow]:
    """A row for each repository that holds log."""
    rows: list[RawRow] = []
    for told in context.told:
        if told.seen.archives is None:
            continue
        rows += [_row(context, told, repository.name) for repository in reachable(told.seen)]
    if not rows:
        raise Skipped(Reason.SETTING, "no source here knows of archived log")
    return rows


def _row(context: BackupContext, told: Told, repository: str) -> RawRow:
    seen = told.seen
    own = [gap for gap in seen.gaps if gap.repository in ("", repository)]
    archives = [archive for archive in seen.archives or () if archive.repository in ("", repository)]
    last = max((archive.last_wal for archive in archives if archive.last_wal is not None), default=None)
    behind = _behind(context, told, archives)
    missing = [gap.missing_files for gap in own if gap.missing_files is not None]
    said = [gap.text for gap in own[:3]]
    if behind:
        reached = f"ends with {last}" if last is not None else "holds no log"
        said.append(f"the archive {reached}, {bytes_text(behind)} before what the server says it archived")
    where = " ".join(part for part in (str(seen.source), seen.name, repository) if part)
    return {
        "source": str(seen.source),
        "name": seen.name,
        "repository": repository,
        "gaps": float(len(own)),
        "missing_files": float(sum(missing)) if missing else None,
        "behind_bytes": behind,
        "look": seen.command or "",
        "sentence": f"{where}: {'; '.join(said) or f'whole up to {last}'}",
    }


def _behind(context: BackupContext, told: Told, archives: Sequence[Archive]) -> float | None:
    found = context.cluster(told.seen)
    as_of = told.seen.as_of_seconds
    if found is None or as_of is None:
        return None
    name, cluster = found
    server = furthest(cluster, context.target.backups.server)
    if server is None or server.archived_end is None:
        return None
    handed = context.memory.of(Handed)
    handed.add(name, server.at_seconds, server.archived_end)
    expected = handed.until(name, as_of - ON_ITS_WAY_SECONDS)
    if server.archived_at_seconds is not None and server.archived_at_seconds <= as_of - ON_ITS_WAY_SECONDS:
        expected = max(expected or 0, server.archived_end)
    if expected is None:
        return None
    reached = reached_by(archives, server.segment_bytes)
    return float(max(0, expected - (reached or 0)))


def reached_by(archives: Sequence[Archive], segment_bytes: int) -> int | None:
    """The position after the newest archived log; None without any."""
    ends = [segment_end(archive.last_wal, segment_bytes) for archive in archives]
    return max((end for end in ends if end is not None), default=None)


def furthest(cluster: Cluster, named: str | None) -> ArchivingTold | None:
    """The named server while it archives, else the node that archived most; None when none has told lately.

    A clone has its original's system identifier, so a name is believed before a position.
    """
    told = cluster.told(ArchivingTold, within_seconds=TOLD_SECONDS)
    if named is not None and named in told:
        return told[named].value
    nodes = [one.value for one in told.values()]
    return max(nodes, key=lambda one: (one.archived_end or -1, one.position), default=None)
