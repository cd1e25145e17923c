"""Owns how often the checks of one target may run within its budget of database time. Pure; knows no job and no page.

The budget is a share of one core of the server's time, over an hour. While more was spent, and would go on being
spent, checks run less often: what each costs an hour is cut at one level for all, so the dearest give most and the
cheap nothing. What a run costs is the median of the last three: one slow run changes nothing, two cheap ones end
it. A run that found no answer in time is a price as well, until one is answered again: then the server was to blame.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median_low
from typing import Final

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Profile
from dbwatch.config import Target
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.model import Outcome, Reason, Status

WINDOW_SECONDS: Final = 3600.0
LOOK_SECONDS: Final = 60.0
MOST: Final = 16.0
MOST_OF_MINIMAL: Final = 4.0
LONGEST_SECONDS: Final = 3600.0
"""No interval is stretched beyond it, but for those that are long by themselves: they may become four times as long."""
MOST_OF_LONG: Final = 4.0

_SLOTS: Final = 60
_RUNS: Final = 3
_COMFORT: Final = 0.75
_ROUNDS: Final = 40


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a check runs by itself, and how many times longer that may become: a power of two."""

    interval_seconds: float
    most: float


def paces_of(target: Target, checks: Iterable[Check]) -> Mapping[str, Pace]:
    """Of all but the connect probe: whether a server can be reached is asked at any price, the more when it is slow."""
    return {check.name: _pace_of(target, check) for check in checks if check.probe != CONNECT_PROBE}


def _pace_of(target: Target, check: Check) -> Pace:
    """The few that wake somebody stay close to their own pace."""
    interval = target.intervals.get(check.name, check.every)
    most = MOST_OF_MINIMAL if check.collector is None and check.profile is Profile.MINIMAL else MOST
    longest = max(LONGEST_SECONDS, MOST_OF_LONG * interval)
    return Pace(interval, min(most, 2.0 ** math.floor(math.log2(max(1.0, longest / interval)))))


def least_stretches(loads: Mapping[str, float], most: Mapping[str, float], share: float) -> Mapping[str, float]:
    """The powers of two, up to `most`, with which all `loads` together come to no more than `share`, where they can.

    Nobody is cut below an even part of the budget: cheap checks need not suffer for one that is dear at its slowest.
    """
    if math.fsum(loads.values()) <= share:
        return dict.fromkeys(loads, 1.0)
    low, high = share / len(loads), max(loads.values())
    for _ in range(_ROUNDS):
        level = (low + high) / 2
        fits = math.fsum(max(load / most[name], min(load, level)) for name, load in loads.items()) <= share
        low, high = (level, high) if fits else (low, level)
    return {name: 1.0 if load <= low else min(most[name], _power(load / low)) for name, load in loads.items()}


class Budget:
    """Told what every run cost. One thread at a time: the target's own."""

    def __init__(
        self, share: float | None, paces: Mapping[str, Pace], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Without a `share` nothing is ever stretched."""
        self._share = share
        self._paces = paces
        self._clock = clock
        self._costs: dict[str, deque[float]] = {}
        self._in_vain: set[str] = set()
        self._ran: dict[str, float] = {}
        self._passed_over: set[str] = set()
        self._pauses: dict[str, float] = {}
        self._spent: deque[tuple[float, float]] = deque()
        self._looked = -math.inf
        self.stretches: Mapping[str, float] = {}
        """How many times its own interval a check waits now; only those that wait longer."""

    def count(self, outcome: Outcome) -> Mapping[str, float]:
        """Count a run. The stretches that it changes, 1 where the check has its own interval again."""
        seconds = outcome.database_seconds
        if self._share is None or outcome.check not in self._paces:
            return {}
        if outcome.status is Status.UNKNOWN and not seconds:
            return {}  # who could not ask learned nothing about the price
        # The first pass asks everything at once, and finds nothing in memory: what it costs is not what an hour costs.
        paid = seconds if outcome.check in self._costs else 0.0
        self._learn(outcome)
        now = self._clock()
        self._came(outcome.check, now)
        is_over = self._spend(now, paid) > self._share * WINDOW_SECONDS
        if now - self._looked < LOOK_SECONDS or not (is_over or self.stretches):
            return {}
        self._looked = now
        return self._swap(self._stretched(self._share, now))

    def pass_over(self, check: str) -> None:
        """The turn of a check went by, because nobody wants to know. What it costs is spread over the pause."""
        self._passed_over.add(check)

    def _came(self, check: str, now: float) -> None:
        """A check ran; if its turns went by before, they will again."""
        if check in self._passed_over:
            self._pauses[check] = now - self._ran.get(check, now)
        else:
            self._pauses.pop(check, None)
        self._passed_over.discard(check)
        self._ran[check] = now

    def _pace(self, check: str, now: float) -> Pace:
        """The check's own, or that at which it runs while its turns go by: to stretch that is not for us."""
        if check not in self._passed_over and check not in self._pauses:
            return self._paces[check]
        since = now - self._ran.get(check, now)
        return Pace(max(self._paces[check].interval_seconds, self._pauses.get(check, 0.0), since), 1.0)

    def _learn(self, outcome: Outcome) -> None:
        """The price of a check. Those of a server that hung are forgotten by all when it answers one of them again."""
        if outcome.reason is Reason.TIMEOUT:
            self._in_vain.add(outcome.check)
        elif outcome.check in self._in_vain:
            for name in self._in_vain:
                self._costs[name].clear()
            self._in_vain.clear()
        self._costs.setdefault(outcome.check, deque(maxlen=_RUNS)).append(outcome.database_seconds)

    def _spend(self, now: float, seconds: float) -> float:
        """What the last hour cost, this included."""
        if self._spent and now - self._spent[-1][0] < WINDOW_SECONDS / _SLOTS:
            since, before = self._spent.pop()
            self._spent.append((since, before + seconds))
        else:
            self._spent.append((now, seconds))
        while now - self._spent[0][0] >= WINDOW_SECONDS:
            self._spent.popleft()
        return math.fsum(cost for _, cost in self._spent)

    def _stretched(self, share: float, now: float) -> Mapping[str, float]:
        """At once as long as needed; shorter by one step a look, and only when there is clearly room for it."""
        paces = {name: self._pace(name, now) for name in self._costs}
        loads = {
            name: median_low(costs or (0.0,)) / paces[name].interval_seconds for name, costs in self._costs.items()
        }
        most = {name: pace.most for name, pace in paces.items()}
        needed, roomy = least_stretches(loads, most, share), least_stretches(loads, most, _COMFORT * share)
        found: dict[str, float] = {}
        for name in loads:
            held = self.stretches.get(name, 1.0)
            stretch = max(needed[name], held if roomy[name] >= held else held / 2)
            if stretch > 1.0:
                found[name] = stretch
        return found

    def _swap(self, stretches: Mapping[str, float]) -> Mapping[str, float]:
        before, self.stretches = self.stretches, stretches
        return {
            name: stretches.get(name, 1.0)
            for name in {*before, *stretches}
            if stretches.get(name, 1.0) != before.get(name, 1.0)
        }


def _power(stretch: float) -> float:
    """The next power of two; a hair above one is that one."""
    return 2.0 ** math.ceil(math.log2(stretch) - 1e-6)
