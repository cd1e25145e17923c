"""Owns what happened between two readings: the growth of every statement, and what may have been lost. Pure.

An entry may have begun anew between the two: by a reset of all or of one, by eviction and return, by a crash. Then
what it says now is what it did since, and what it did before that is lost. Nothing is counted twice: a reading either
grew out of the earlier one, or stands for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dbwatch.engines.postgres.statements.counters import FIELDS, ZERO, Counters
from dbwatch.engines.postgres.statements.snapshot import Entry, Identity, Snapshot


@dataclass(frozen=True, slots=True)
class Losses:
    """What kept the window from being whole: entries that began anew or are gone, evictions, a server start."""

    reborn: int = 0
    vanished: int = 0
    unplaced: int = 0
    deallocations: float = 0.0
    restarts: int = 0

    @property
    def any(self) -> bool:
        """A clean restart alone loses nothing."""
        return bool(self.reborn or self.vanished or self.unplaced or self.deallocations)

    def plus(self, other: Losses) -> Losses:
        return Losses(
            self.reborn + other.reborn,
            self.vanished + other.vanished,
            self.unplaced + other.unplaced,
            self.deallocations + other.deallocations,
            self.restarts + other.restarts,
        )

    def minus(self, earlier: Losses) -> Losses:
        return Losses(
            self.reborn - earlier.reborn,
            self.vanished - earlier.vanished,
            self.unplaced - earlier.unplaced,
            self.deallocations - earlier.deallocations,
            self.restarts - earlier.restarts,
        )


@dataclass(frozen=True, slots=True)
class Growth:
    """What each statement did between two readings; those that did nothing are left out."""

    changes: Mapping[Identity, Counters] = field(default_factory=dict)
    losses: Losses = field(default_factory=Losses)
    active_seconds: float | None = None


def growth(before: Snapshot, after: Snapshot) -> Growth:
    """What happened from `before` to `after`."""
    if before.tells_toplevel != after.tells_toplevel and before.entries and after.entries:
        # ALTER EXTENSION UPDATE came in between, and only one of the two tells them apart.
        before, after = before.without_toplevel(), after.without_toplevel()
    unlike = [name for name in FIELDS if before.sources.get(name) != after.sources.get(name)]
    anew = _all_anew(before, after)
    changes: dict[Identity, Counters] = {}
    reborn = unplaced = 0
    for key, entry in after.entries.items():
        known = before.entries.get(key)
        if known is None:
            if not before.complete and not anew and not _began_since(entry, before):
                unplaced += 1  # it may have stood among those we did not read
                continue
            change = entry.counters
        elif anew or _is_reborn(known, entry, before):
            reborn += 1
            change = entry.counters
        elif known.counters == entry.counters:
            continue
        else:
            change = _comparable(entry.counters, known.counters, unlike).minus(known.counters)
        if change != ZERO:
            changes[key.identity] = changes.get(key.identity, ZERO).plus(change)
    return Growth(
        changes,
        Losses(
            reborn=reborn,
            vanished=sum(key not in after.entries for key in before.entries),
            unplaced=unplaced,
            deallocations=_evictions(before, after, anew=anew),
            restarts=int(_restarted(before, after)),
        ),
        _active(before, after),
    )


def _comparable(now: Counters, before: Counters, unlike: list[str]) -> Counters:
    """`now`, where a counter that was read from another column than before did not move."""
    return now._replace(**{name: getattr(before, name) for name in unlike}) if unlike else now


def _restarted(before: Snapshot, after: Snapshot) -> bool:
    return before.started_at is not None and before.started_at != after.started_at


def _all_anew(before: Snapshot, after: Snapshot) -> bool:
    """Whether every entry began after the earlier reading, as far as that is told for all of them together."""
    if any(entry.since is not None for entry in after.entries.values()):
        return False  # each entry tells for itself
    if before.reset_at is not None and after.reset_at is not None and before.reset_at != after.reset_at:
        return True
    if not _restarted(before, after):
        return False
    # A clean restart keeps the entries, a crash none of them, and another server has others. Of kept ones some stand
    # still, to the last digit of their time.
    return not any(
        known.counters == entry.counters
        for key, known in before.entries.items()
        if (entry := after.entries.get(key)) is not None and known.counters.calls
    ) and any(
        (entry := after.entries.get(key)) is None or entry.counters.fell(known.counters)
        for key, known in before.entries.items()
    )


def _is_reborn(known: Entry, entry: Entry, before: Snapshot) -> bool:
    if known.since is not None and entry.since is not None:
        return known.since != entry.since
    return _began_since(entry, before) or entry.counters.fell(known.counters)


def _began_since(entry: Entry, before: Snapshot) -> bool:
    return entry.since is not None and entry.since > before.server_seconds


def _evictions(before: Snapshot, after: Snapshot, *, anew: bool) -> float:
    if before.deallocations is None or after.deallocations is None:
        return 0.0
    if anew or after.deallocations < before.deallocations:
        return after.deallocations
    return after.deallocations - before.deallocations


def _active(before: Snapshot, after: Snapshot) -> float | None:
    if before.active_seconds is None or after.active_seconds is None or after.active_seconds < before.active_seconds:
        return None
    return after.active_seconds - before.active_seconds
