"""Owns the running account of a server's statements: totals that only grow, and a window for everyone who looks. Pure.

Each consumer (a check) gets what happened since its own last look, however often others had the server read in
between. Totals survive resets, evictions and restarts. A statement that left the server leaves the account, too; what
it did stays in the sums of its database, so that nothing is lost from those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from dbwatch.engines.postgres.statements.counters import ZERO, Counters
from dbwatch.engines.postgres.statements.delta import Losses, growth
from dbwatch.engines.postgres.statements.snapshot import Identity, Snapshot


class _Running(NamedTuple):
    """`birth` tells a statement that came back from the one that left."""

    birth: int
    total: Counters


@dataclass(frozen=True, slots=True)
class _Mark:
    """The account as a consumer saw it last."""

    serial: int
    read_at: float
    transactions: Mapping[int, float]
    totals: Mapping[Identity, _Running]
    databases: Mapping[int, Counters]
    losses: Losses
    active_seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    """What a consumer sees. At its first look `changes` are all that is known; `seconds` is None then.

    `databases` are the sums of all statements by database oid, those that left included, over the same window;
    `transactions` how many ended in each database, where that is known.
    """

    seconds: float | None
    changes: Mapping[Identity, Counters]
    databases: Mapping[int, Counters]
    present: frozenset[Identity]
    losses: Losses
    active_seconds: float | None
    snapshot: Snapshot
    transactions: Mapping[int, float] = field(default_factory=dict)

    @property
    def first(self) -> bool:
        return self.seconds is None

    @property
    def all(self) -> Counters:
        """Everything of the window."""
        total = ZERO
        for counters in self.databases.values():
            total = total.plus(counters)
        return total


class Ledger:
    """Bounded by the entries of the newest snapshot and, for each consumer, of the one it saw last."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._serial = 0
        self._totals: Mapping[Identity, _Running] = {}
        self._present: frozenset[Identity] = frozenset()
        self._databases: Mapping[int, Counters] = {}
        self._losses = Losses()
        self._active = 0.0
        self._active_unknown_at = 0
        self._marks: dict[str, _Mark] = {}

    @property
    def snapshot(self) -> Snapshot | None:
        """The newest reading."""
        return self._snapshot

    def is_news_to(self, consumer: str, *, not_before: float) -> bool:
        """Whether there is a reading since `not_before` that the consumer has not looked at."""
        if self._snapshot is None or self._snapshot.read_at < not_before:
            return False
        mark = self._marks.get(consumer)
        return mark is None or mark.serial != self._serial

    def feed(self, snapshot: Snapshot) -> None:
        """Take a new reading into the account."""
        before = self._snapshot
        self._serial += 1
        if before is None:
            self._start(snapshot)
        else:
            self._grow(before, snapshot)
        self._snapshot = snapshot

    def look(self, consumer: str) -> Look:
        """What happened since this consumer's last look, up to the newest reading."""
        snapshot = self._snapshot
        if snapshot is None:
            raise RuntimeError("the ledger has not been fed")
        mark = self._marks.get(consumer)
        self._marks[consumer] = _Mark(
            self._serial,
            snapshot.read_at,
            snapshot.transactions,
            self._totals,
            self._databases,
            self._losses,
            self._active,
        )
        if mark is None:
            changes = {identity: running.total for identity, running in self._totals.items()}
            return Look(None, changes, self._databases, self._present, Losses(), None, snapshot)
        return Look(
            seconds=snapshot.read_at - mark.read_at,
            changes=self._changes_since(mark),
            databases={
                dbid: total.minus(mark.databases.get(dbid, ZERO))
                for dbid, total in self._databases.items()
                if total is not mark.databases.get(dbid)
            },
            present=self._present,
            losses=self._losses.minus(mark.losses),
            active_seconds=self._active - mark.active_seconds if self._active_unknown_at <= mark.serial else None,
            snapshot=snapshot,
            transactions={
                dbid: now - mark.transactions[dbid]
                for dbid, now in snapshot.transactions.items()
                if dbid in mark.transactions and now >= mark.transactions[dbid]
            },
        )

    def _changes_since(self, mark: _Mark) -> dict[Identity, Counters]:
        changes: dict[Identity, Counters] = {}
        for identity, running in self._totals.items():
            known = mark.totals.get(identity)
            if known is running:
                continue
            same = known is not None and known.birth == running.birth
            change = running.total.minus(known.total) if known is not None and same else running.total
            if change != ZERO:
                changes[identity] = change
        return changes

    def _start(self, snapshot: Snapshot) -> None:
        lifetime = snapshot.by_identity()
        self._totals = {identity: _Running(self._serial, total) for identity, total in lifetime.items()}
        self._present = frozenset(lifetime)
        self._databases = _added({}, lifetime)

    def _grow(self, before: Snapshot, snapshot: Snapshot) -> None:
        grown = growth(before, snapshot)
        present = frozenset(key.identity for key in snapshot.entries)
        totals: dict[Identity, _Running] = {}
        for identity in present:
            running = self._totals.get(identity)
            change = grown.changes.get(identity)
            if running is None:
                totals[identity] = _Running(self._serial, change or ZERO)
            elif change is None:
                totals[identity] = running
            else:
                totals[identity] = _Running(running.birth, running.total.plus(change))
        self._totals = totals
        self._present = present
        self._databases = _added(self._databases, grown.changes)
        self._losses = self._losses.plus(grown.losses)
        if grown.active_seconds is None:
            self._active_unknown_at = self._serial
        else:
            self._active += grown.active_seconds


def _added(databases: Mapping[int, Counters], changes: Mapping[Identity, Counters]) -> dict[int, Counters]:
    sums = dict(databases)
    for identity, change in changes.items():
        sums[identity.dbid] = sums.get(identity.dbid, ZERO).plus(change)
    return sums
