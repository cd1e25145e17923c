"""Owns what the nodes of one cluster tell each other about the use of indexes. Knows no query and judges nothing.

Scans are counted on the node that runs them: an index that no query of the primary uses may carry all reports of a
standby. The nodes are copies, so an index has the same oid on each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dbwatch.engines.postgres.cluster import Cluster

MOST_SCANNED = 5000


@dataclass(frozen=True, slots=True)
class Scanned:
    """The indexes of a database that a standby scans, by oid, each with its last scan where the server knows it.

    `since_seconds`: its counters count from then on. `complete` is False when there are more than we carry.
    """

    since_seconds: float
    last_scans: Mapping[int, float | None]
    complete: bool


@dataclass(frozen=True, slots=True)
class StandbyUse:
    """What a standby tells: the scans of each database, and how many standbys it feeds itself."""

    databases: Mapping[str, Scanned]
    feeds: int


@dataclass(slots=True)
class StandbyNotes:
    """What a standby has gathered so far, database by database."""

    databases: dict[str, Scanned] = field(default_factory=dict)

    def noted(self, database: str, scanned: Scanned, present: Iterable[str], feeds: int) -> StandbyUse:
        """The notes with this database renewed and those that are gone left out."""
        self.databases[database] = scanned
        kept = {*present, database}
        self.databases = {name: one for name, one in self.databases.items() if name in kept}
        return StandbyUse(dict(self.databases), feeds)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The other nodes as one: what any of them scans, since when all of them count, and how many stay unseen."""

    last_scans: Mapping[int, float | None]
    since_seconds: float | None
    watched: int
    unseen: int

    @property
    def words(self) -> str:
        """The end of a sentence about scans: which nodes it speaks of, and which it does not."""
        told = f" here and on {_counted(self.watched, 'standby')}" if self.watched else ""
        if not self.unseen:
            return told
        whose = "whose scans are not seen"
        return f"{told}, beside {_counted(self.unseen, 'more standby' if self.watched else 'standby')} {whose}"


def elsewhere(cluster: Cluster | None, database: str, *, feeds: int, expected: int, within_seconds: float) -> Elsewhere:
    """What the standbys told about this database, on the primary that feeds so many and should have so many."""
    told = cluster.told(StandbyUse, within_seconds=within_seconds) if cluster is not None else {}
    uses: Sequence[StandbyUse] = [one.value for one in told.values()]
    seen = [scanned for use in uses if (scanned := use.databases.get(database)) is not None and scanned.complete]
    standbys = max(feeds + sum(use.feeds for use in uses), expected)
    last_scans: dict[int, float | None] = {}
    for scanned in seen:
        for oid, at in scanned.last_scans.items():
            last_scans[oid] = _later(last_scans[oid], at) if oid in last_scans else at
    since = max((scanned.since_seconds for scanned in seen), default=None)
    return Elsewhere(last_scans, since, len(seen), max(0, standbys - len(seen)))


def _later(one: float | None, other: float | None) -> float | None:
    """A scan at an unknown time may have been a moment ago."""
    return None if one is None or other is None else max(one, other)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
