"""Owns what is counted about the runs of one check on one target since the daemon started. Knows no page."""

from __future__ import annotations

import bisect
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from dbwatch.model import Outcome, Status

BUCKETS_SECONDS: Final = (0.1, 1.0, 10.0)


@dataclass(slots=True)
class Tally:
    """Mutable, guarded by its owner's lock. `observed` counts the runs of each bucket alone, at last those beyond."""

    runs: Counter[Status] = field(default_factory=Counter)
    missed: int = 0
    dropped: int = 0
    observed: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    run_seconds: float = 0.0
    database_seconds: float = 0.0
    last_success_seconds: float | None = None

    def count(self, outcome: Outcome, dropped: int) -> None:
        self.runs[outcome.status] += 1
        self.dropped += dropped
        self.database_seconds += outcome.database_seconds
        if outcome.answered:
            self.last_success_seconds = outcome.finished_at_seconds
        if outcome.status is not Status.SKIPPED:
            self.observed[bisect.bisect_left(BUCKETS_SECONDS, outcome.duration_seconds)] += 1
            self.run_seconds += outcome.duration_seconds
