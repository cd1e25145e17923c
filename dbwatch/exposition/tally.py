"""Owns what is counted about the runs of the checks on a target since the daemon started. Knows no page."""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from dbwatch.model import Outcome, Status

BUCKETS_SECONDS: Final = (0.01, 0.1, 1.0, 10.0)


@dataclass(slots=True)
class Cost:
    """The time of some runs, how they ended, and how many were left out.

    `observed` counts the runs of each bucket alone, at last those beyond.
    """

    observed: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    run_seconds: float = 0.0
    database_seconds: float = 0.0
    missed: int = 0
    runs: Counter[Status] = field(default_factory=Counter)

    def count(self, outcome: Outcome) -> None:
        self.runs[outcome.status] += 1
        self.database_seconds += outcome.database_seconds
        if outcome.status is not Status.SKIPPED:
            self.observed[bisect.bisect_left(BUCKETS_SECONDS, outcome.duration_seconds)] += 1
            self.run_seconds += outcome.duration_seconds

    def add(self, other: Cost) -> None:
        self.observed = [own + more for own, more in zip(self.observed, other.observed, strict=True)]
        self.run_seconds += other.run_seconds
        self.database_seconds += other.database_seconds
        self.missed += other.missed
        self.runs.update(other.runs)


@dataclass(slots=True)
class Tally:
    """Mutable, guarded by its owner's lock. `cost` is that of this check's runs alone; `is_dear` among the target's."""

    dropped: int = 0
    cost: Cost = field(default_factory=Cost)
    last_success_seconds: float | None = None
    is_dear: bool = False

    def count(self, outcome: Outcome, dropped: int) -> None:
        self.dropped += dropped
        self.cost.count(outcome)
        if outcome.answered:
            self.last_success_seconds = outcome.finished_at_seconds
