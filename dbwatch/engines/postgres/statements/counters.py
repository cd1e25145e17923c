"""Owns the numbers pg_stat_statements keeps of a statement, and their exact sums and differences. Pure.

Beside plain sums it carries `squares`, the sum of squared deviations of the execution times from their mean. Like the
sums it can be merged and taken apart, so the spread of a window is known exactly from the spreads at its two ends.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple


class Counters(NamedTuple):
    """What one statement, or several together, did. `top_…` leaves out what ran inside of functions."""

    calls: float = 0.0
    exec_seconds: float = 0.0
    squares: float = 0.0
    rows: float = 0.0
    plan_seconds: float = 0.0
    shared_hit: float = 0.0
    shared_read: float = 0.0
    shared_written: float = 0.0
    temp_read: float = 0.0
    temp_written: float = 0.0
    wal_bytes: float = 0.0
    io_seconds: float = 0.0
    top_calls: float = 0.0
    top_exec_seconds: float = 0.0

    @property
    def mean_seconds(self) -> float | None:
        """Mean time of an execution; None without any."""
        return self.exec_seconds / self.calls if self.calls > 0 else None

    @property
    def stddev_seconds(self) -> float | None:
        """Standard deviation of the execution times (of all of them, as the extension has it); None without any."""
        return math.sqrt(self.squares / self.calls) if self.calls > 0 else None

    def plus(self, other: Counters) -> Counters:
        """Both together."""
        if other is ZERO:
            return self
        if self is ZERO:
            return other
        squares = self.squares + other.squares + _between(self, other)
        total = [mine + theirs for mine, theirs in zip(self, other, strict=True)]
        total[_SQUARES] = squares
        return Counters._make(total)

    def minus(self, earlier: Counters) -> Counters:
        """What came since `earlier`, which is a part of this. Never negative: rounding ends at zero."""
        if earlier is ZERO:
            return self
        since = [max(0.0, mine - theirs) for mine, theirs in zip(self, earlier, strict=True)]
        since[_SQUARES] = 0.0
        if since[0] > 1:  # the spread of one execution is zero, whatever rounding says
            rest = self.squares - earlier.squares - _between(earlier, Counters._make(since))
            since[_SQUARES] = max(0.0, rest)
        return Counters._make(since)

    def fell(self, earlier: Counters) -> bool:
        """Whether any of the sums is lower than it was: then this did not grow out of `earlier`."""
        return any(
            mine < theirs
            for position, (mine, theirs) in enumerate(zip(self, earlier, strict=True))
            if position != _SQUARES
        )


ZERO: Final = Counters()
FIELDS: Final = Counters._fields
_SQUARES: Final = FIELDS.index("squares")


def _between(one: Counters, other: Counters) -> float:
    """The part of the squares of both that comes from the distance of their means."""
    calls = one.calls + other.calls
    if one.calls <= 0 or other.calls <= 0:
        return 0.0
    distance = one.exec_seconds / one.calls - other.exec_seconds / other.calls
    return distance * distance * one.calls * other.calls / calls
