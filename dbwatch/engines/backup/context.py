"""Owns what a probe of the backup engine gets to see: what the sources told, the time, and the servers' own account."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dbwatch.config import Target
from dbwatch.config.backups import Schedule
from dbwatch.engines.backup.planned import Planned
from dbwatch.engines.backup.record import Backup, Kind, Repository, Seen, SourceName, State
from dbwatch.engines.dumps import FUTURE_SECONDS
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Cluster, Clusters
from dbwatch.model import RawRow

_COMPARED = 5


@dataclass(frozen=True, slots=True)
class Told:
    """A report, and what was expected of its source."""

    planned: Planned
    seen: Seen

    @property
    def schedule(self) -> Schedule:
        return self.planned.schedule


@dataclass(frozen=True, slots=True)
class BackupContext:
    """`told` are the sources that answered. `memory` is the target's own, `clusters` what watched servers tell."""

    target: Target
    told: Sequence[Told]
    now_seconds: float
    memory: Memory
    clusters: Clusters

    def cluster(self, seen: Seen) -> tuple[str, Cluster] | None:
        """The watched cluster these backups are of: the one that is named, else the one the tool knows."""
        if self.target.backups.server is not None:
            return self.clusters.of_target(self.target.backups.server)
        if seen.system_identifier is None:
            return None
        cluster = self.clusters.known(seen.system_identifier)
        return (seen.system_identifier, cluster) if cluster is not None else None


Probe: TypeAlias = Callable[[BackupContext], Sequence[RawRow]]


@dataclass(frozen=True, slots=True)
class Group:
    """Backups that follow each other: of one repository of a tool, of one name among dump files. Newest first.

    `every` is when the next one is due, after the schedule in the configuration. `kind` is the label.
    """

    told: Told
    name: str
    repository: str
    kind: str
    every: float
    backups: tuple[Backup, ...]
    now_seconds: float

    @property
    def done(self) -> list[Backup]:
        """Those that count: finished, and not in the future."""
        return [b for b in self.backups if b.state is State.DONE and self._has_been(b)]

    @property
    def labels(self) -> dict[str, object]:
        return {"source": str(self.told.seen.source), "name": self.name, "repository": self.repository}

    @property
    def usual_bytes(self) -> float | None:
        """The median size of up to five before the newest."""
        sizes = [size for backup in self.done[1 : _COMPARED + 1] if (size := size_of(backup)) is not None]
        return statistics.median(sizes) if sizes else None

    @property
    def where(self) -> str:
        """`of main in repo1`, for sentences."""
        return "".join(
            [f" of {self.name}" if self.name else "", f" in {self.repository}" if self.repository else ""],
        )

    def _has_been(self, backup: Backup) -> bool:
        finished = backup.finished_at_seconds
        return finished is not None and finished <= self.now_seconds + FUTURE_SECONDS


def size_of(backup: Backup) -> int | None:
    return backup.size_bytes if backup.size_bytes is not None else backup.stored_bytes


def ends_of(backup: Backup) -> float:
    return backup.finished_at_seconds or backup.started_at_seconds or 0.0


def groups(told: Told, now_seconds: float) -> Iterator[Group]:
    """What has to recur in this source. Of a tool both a full backup and one of any type, in each repository."""
    seen, schedule = told.seen, told.schedule
    newest_first = sorted(seen.backups, key=ends_of, reverse=True)
    match seen.source:
        case SourceName.DUMPS:
            for name in sorted(set(told.planned.names) or {backup.name for backup in newest_first} or {""}):
                own = tuple(backup for backup in newest_first if backup.name == name)
                yield Group(told, name, seen.name, "dump", schedule.every, own, now_seconds)
        case SourceName.MARKER | SourceName.RESTORE_TEST:
            yield Group(told, seen.name, "", str(seen.source), schedule.every, tuple(newest_first), now_seconds)
        case _:
            for repository in reachable(seen):
                own = tuple(b for b in newest_first if b.repository == repository.name and is_current(seen, b))
                full = tuple(backup for backup in own if backup.kind is Kind.FULL)
                yield Group(told, seen.name, repository.name, "full", schedule.full_every, full, now_seconds)
                yield Group(told, seen.name, repository.name, "any", schedule.every, own, now_seconds)


def reachable(seen: Seen) -> Iterator[Repository]:
    """The repositories that could be looked at; a tool with one may tell none."""
    repositories = seen.repositories or tuple(Repository(name) for name in sorted({b.repository for b in seen.backups}))
    for repository in repositories or (Repository(),):
        if repository.unreachable is None:
            yield repository


def is_current(seen: Seen, backup: Backup) -> bool:
    """Not of the cluster before an upgrade, which log of today cannot be replayed onto."""
    known = seen.system_identifier is not None and backup.system_identifier is not None
    return not known or seen.system_identifier == backup.system_identifier
