"""Owns what mean and standard deviation say about the slowest executions, and when they say nothing. Pure.

Two numbers do not make a distribution. Where the times are spread like most query times are (lognormal, the deviation
at most twice the mean) the estimate is within some percent; beyond that a few stalls among fast executions make any
estimate absurd, so there is none. The bound is Cantelli's: it holds for every distribution that has these two numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from dbwatch.engines.postgres.statements.counters import Counters

LEAST_CALLS: Final = 100
MOST_VARIATION: Final = 2.0
_P95, _P99 = NormalDist().inv_cdf(0.95), NormalDist().inv_cdf(0.99)
_CANTELLI_P95: Final = math.sqrt(0.95 / 0.05)


@dataclass(frozen=True, slots=True)
class Tail:
    """Estimates are None where the two numbers do not allow one; `suspected` says that the spread is why."""

    p95_estimate_seconds: float | None
    p99_estimate_seconds: float | None
    p95_bound_seconds: float | None
    suspected: bool | None


def tail(window: Counters) -> Tail:
    """The slow end of a window's executions."""
    mean, stddev = window.mean_seconds, window.stddev_seconds
    if mean is None or stddev is None or window.calls < LEAST_CALLS or mean <= 0:
        return Tail(None, None, None, None)
    bound = mean + _CANTELLI_P95 * stddev
    variation = stddev / mean
    if variation > MOST_VARIATION:
        return Tail(None, None, bound, suspected=True)
    spread = math.log1p(variation * variation)
    middle, width = math.log(mean) - spread / 2, math.sqrt(spread)
    return Tail(math.exp(middle + _P95 * width), math.exp(middle + _P99 * width), bound, suspected=False)
