"""A small pg_stat_statements of our own: it knows what really ran, and what the extension would tell of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dbwatch.engines.postgres.statements.counters import Counters
from dbwatch.engines.postgres.statements.snapshot import Entry, Identity, Key, Snapshot

FULL = {name: name for name in Counters._fields}


@dataclass
class _Life:
    """One life of an entry: the durations it saw, and when it began."""

    since: float
    durations: list[float] = field(default_factory=list)


@dataclass
class Server:
    """`api` is the extension's 1.x: 8 tells neither, 9 `toplevel`, resets and evictions, 11 when each entry began."""

    api: int = 11
    now: float = 1_000.0
    started_at: float = 900.0
    reset_at: float = 900.0
    deallocations: float = 0.0
    lives: dict[Key, _Life] = field(default_factory=dict)
    ran: dict[Identity, list[float]] = field(default_factory=dict)
    """What really ran since the last `told`."""
    recoverable: dict[Key, list[float]] = field(default_factory=dict)
    """Of that, what the entries that stand now have seen."""

    def run(self, statement: int, durations: list[float], *, top: bool = True) -> None:
        self.now += 1
        identity = Identity(10, 1 + statement % 2, statement)
        key = Key(identity, top)
        self.lives.setdefault(key, _Life(self.now)).durations.extend(durations)
        self.ran.setdefault(identity, []).extend(durations)
        self.recoverable.setdefault(key, []).extend(durations)

    def reset(self) -> None:
        self.now += 1
        self.reset_at = self.now
        self._forget(list(self.lives))

    def evict(self, statements: set[int]) -> None:
        self.now += 1
        self.deallocations += 1
        self._forget([key for key in self.lives if key.identity.queryid in statements])

    def forget(self, statements: set[int]) -> None:
        """A reset of single statements, which nothing tells of but the entries."""
        self.now += 1
        self._forget([key for key in self.lives if key.identity.queryid in statements])

    def restart(self, *, crash: bool) -> None:
        self.now += 1
        self.started_at = self.now
        if crash:
            self.reset_at = self.now
            self.deallocations = 0
            self._forget(list(self.lives))

    def _forget(self, keys: list[Key]) -> None:
        for key in keys:
            del self.lives[key]
            self.recoverable.pop(key, None)

    def told(self) -> Snapshot:
        """A reading; what ran is counted anew from here."""
        self.now += 1
        self.ran, self.recoverable = {}, {}
        entries = {
            key: Entry(_counters(life.durations, top=bool(key.toplevel)), life.since if self.api >= 11 else None)
            for key, life in self.lives.items()
        }
        info = self.api >= 9
        snapshot = Snapshot(
            entries=entries,
            read_at=self.now,
            server_seconds=self.now,
            started_at=self.started_at,
            reset_at=self.reset_at if info else None,
            deallocations=self.deallocations if info else None,
            sources=FULL,
        )
        return snapshot if info else snapshot.without_toplevel()


def spread(durations: list[float]) -> float:
    """The standard deviation, from the durations themselves."""
    mean = math.fsum(durations) / len(durations)
    return math.sqrt(math.fsum((duration - mean) ** 2 for duration in durations) / len(durations))


def _counters(durations: list[float], *, top: bool) -> Counters:
    calls, total = float(len(durations)), math.fsum(durations)
    return Counters(
        calls=calls,
        exec_seconds=total,
        squares=spread(durations) ** 2 * calls,
        rows=2 * calls,
        shared_hit=3 * calls,
        top_calls=calls if top else 0.0,
        top_exec_seconds=total if top else 0.0,
    )
