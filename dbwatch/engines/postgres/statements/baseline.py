"""Owns what is usual for a statement, and whether a window is slower than that beyond chance. Pure; the caller brings
the time.

The baseline forgets exponentially. A window counts as slower only if its mean is far above the usual one, farther than
the executions' spread and the wandering of the mean from window to window explain. Such a window does not become part
of the baseline, unless it stays like that for hours: then it is what is usual now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

from dbwatch.engines.postgres.statements.counters import ZERO, Counters
from dbwatch.engines.postgres.statements.snapshot import Identity
from dbwatch.units import number_text

HALF_LIFE_SECONDS: Final = 4 * 3600.0
ADOPTED_AFTER_SECONDS: Final = 6 * 3600.0
FORGOTTEN_AFTER_SECONDS: Final = 24 * 3600.0
LEAST_CALLS: Final = 30
LEAST_WINDOWS: Final = 5
LEAST_BASELINE_CALLS: Final = 100
SLOWER_RATIO: Final = 1.5
SLOWER_SIGNIFICANCE: Final = 4.0
MOST_STATEMENTS: Final = 1_000
_LEAST_WEIGHT: Final = 0.05
_MORE: Final = 1.5
_IO_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Judgement:
    """A window against the baseline. `significance` is Welch's t with the wandering of the means in it.

    `slower_windows` counts the slower ones in a row, this one included: a stall of the machine is over with the next.
    """

    baseline: Counters
    window: Counters
    baseline_mean_seconds: float
    ratio: float
    significance: float
    added_seconds_per_minute: float
    slower_windows: int = 0

    @property
    def slower(self) -> bool:
        """Whether the window is kept out of the baseline."""
        return self.ratio >= SLOWER_RATIO and self.significance >= SLOWER_SIGNIFICANCE


@dataclass(slots=True)
class _Usual:
    counters: Counters = ZERO
    windows: int = 0
    wandering: float = 0.0
    seen_at: float = 0.0
    slower_since: float | None = None
    slower_windows: int = 0

    @property
    def is_known(self) -> bool:
        return self.windows >= LEAST_WINDOWS and self.counters.calls >= LEAST_BASELINE_CALLS

    def add(self, window: Counters, at: float) -> None:
        """Merge a window; what is older weighs less."""
        mean, usual = window.mean_seconds, self.counters.mean_seconds
        if self.windows:
            keep = 0.5 ** (max(0.0, at - self.seen_at) / HALF_LIFE_SECONDS)
            self.counters = Counters._make(number * keep for number in self.counters)
        if mean is not None and usual is not None:
            weight = max(_LEAST_WEIGHT, 1 / (self.windows + 1))
            self.wandering = (1 - weight) * self.wandering + weight * (mean - usual) ** 2
        self.counters = self.counters.plus(window)
        self.windows += 1
        self.seen_at = at
        self.slower_since = None
        self.slower_windows = 0


@dataclass(slots=True)
class Baselines:
    """Of at most `MOST_STATEMENTS` statements; those not seen for a day are forgotten."""

    known: dict[Identity, _Usual] = field(default_factory=dict)

    def judge(self, identity: Identity, window: Counters, seconds: float, at: float) -> Judgement | None:
        """A window of a statement, and take it into the baseline. None when too little is known."""
        if window.calls < LEAST_CALLS or seconds <= 0:
            return None
        usual = self.known.pop(identity, None)
        if usual is None or at - usual.seen_at > FORGOTTEN_AFTER_SECONDS:
            usual = _Usual()
        self.known[identity] = usual  # seen last, stands last
        while len(self.known) > MOST_STATEMENTS:
            del self.known[next(iter(self.known))]
        judgement = _judged(usual, window, seconds) if usual.is_known else None
        if judgement is not None and judgement.slower:
            usual.slower_since = at if usual.slower_since is None else usual.slower_since
            if at - usual.slower_since < ADOPTED_AFTER_SECONDS:
                usual.seen_at = at
                usual.slower_windows += 1
                return replace(judgement, slower_windows=usual.slower_windows)
            self.known[identity] = usual = _Usual()
        usual.add(window, at)
        return judgement


def _judged(usual: _Usual, window: Counters, seconds: float) -> Judgement | None:
    mean, baseline_mean = window.mean_seconds, usual.counters.mean_seconds
    if mean is None or baseline_mean is None or baseline_mean <= 0:
        return None
    # The extension's variance is that of all executions; that of a sample has one degree of freedom less.
    error = math.sqrt(
        window.squares / (window.calls - 1) / window.calls
        + usual.counters.squares / max(1.0, usual.counters.calls - 1) / usual.counters.calls
        + usual.wandering
    )
    slower_by = mean - baseline_mean
    # Times that do not vary at all differ beyond chance when they differ; the clock of the server counts nanoseconds.
    significance = slower_by / max(error, 1e-9)
    return Judgement(
        baseline=usual.counters,
        window=window,
        baseline_mean_seconds=baseline_mean,
        ratio=mean / baseline_mean,
        significance=significance,
        added_seconds_per_minute=slower_by * window.calls / seconds * 60,
    )


def cause(judgement: Judgement) -> str:
    """What else about the executions changed, in words."""
    window, baseline = judgement.window, judgement.baseline
    pairs = (
        ("rows", window.rows, baseline.rows),
        ("blocks", window.shared_hit + window.shared_read, baseline.shared_hit + baseline.shared_read),
        ("blocks from outside of the cache", window.shared_read, baseline.shared_read),
        ("temporary blocks", window.temp_written, baseline.temp_written),
    )
    found = [
        f"{number_text(now / window.calls)} {what} a call instead of {number_text(before / baseline.calls)}"
        for what, now, before in pairs
        if now >= window.calls and now / window.calls >= _MORE * before / baseline.calls
    ]
    if found:
        return ", ".join(found)
    added = judgement.window.exec_seconds / window.calls - judgement.baseline_mean_seconds
    added_io = window.io_seconds / window.calls - baseline.io_seconds / baseline.calls
    if added > 0 and added_io / added >= _IO_SHARE:
        return "as many rows and blocks a call as before, but reading them takes longer"
    return "as many rows and blocks a call as before, so it waits or the machine is slower"
