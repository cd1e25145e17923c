"""Owns what is known of every check on every target for the page: rendered bytes and counts, by target and check.

Two locks. `_counting` orders the writers; `_lock` is held for a swap or a copy only, so a reader never waits for bytes
being rendered.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from dbwatch.exposition.block import NOTHING, Block
from dbwatch.exposition.tally import Cost, Tally
from dbwatch.model import Outcome


@dataclass(frozen=True, slots=True)
class Entry:
    """What the page says of one check on one target. `samples` are left out from `expires` on.

    `limits` and `verdict` mostly stay as they are from run to run; `limited_by` is what `limits` were rendered from.
    `interval_seconds` is the pace by which `expires` was told.
    """

    runs: Block = NOTHING
    verdict: Block = NOTHING
    limits: Block = NOTHING
    limited_by: tuple[object, ...] = ()
    outcome: Outcome | None = None
    samples: Block = NOTHING
    expires: float = math.inf
    interval_seconds: float = 0.0
    is_probe: bool = False

    @property
    def about(self) -> tuple[Block, ...]:
        """Everything but the samples."""
        return self.verdict, self.limits, self.runs


DEAREST: Final = 10
"""The checks of a target whose cost has a series; one keeps it as long as it is among twice as many."""

Entries: TypeAlias = Mapping[str, Mapping[str, Entry]]


class Ledger:
    """Thread-safe; bounded by the registered targets and checks as long as strangers are dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._entries: dict[str, dict[str, Entry]] = {}
        self._tallies: dict[str, dict[str, Tally]] = {}
        self._version = 0

    def snapshot(self) -> tuple[int, Entries]:
        """All entries, and a number that grows with every change."""
        with self._lock:
            return self._version, {target: dict(entries) for target, entries in self._entries.items()}

    def of(self, target: str) -> Mapping[str, Entry]:
        with self._lock:
            return dict(self._entries.get(target, {}))

    def write(self, target: str, check: str, change: Callable[[Entry, Tally], Entry]) -> None:
        """Swap in what `change` makes of the entry there was. It may count in the tally; one writer at a time."""
        with self._counting:
            tallies = self._tallies.setdefault(target, {})
            tally = tallies.setdefault(check, Tally())
            tally.is_dear = _is_dear(tally, tallies.values())
            made = change(self.of(target).get(check, Entry()), tally)
            with self._lock:
                self._entries.setdefault(target, {})[check] = made
                self._version += 1

    def costs(self) -> Mapping[str, Cost]:
        """What the runs of each target's checks have taken so far."""
        with self._counting:
            sums: dict[str, Cost] = {}
            for target, tallies in self._tallies.items():
                cost = sums[target] = Cost()
                for tally in tallies.values():
                    cost.add(tally.cost)
            return sums

    def drop(self, target: str, checks: Collection[str] | None = None) -> None:
        """Forget some checks of a target, or all of it."""
        with self._counting, self._lock:
            entries, tallies = self._entries.get(target, {}), self._tallies.get(target, {})
            for check in tuple({*entries, *tallies} if checks is None else checks):
                entries.pop(check, None)
                tallies.pop(check, None)
            if checks is None:
                self._entries.pop(target, None)
                self._tallies.pop(target, None)
            self._version += 1


def _is_dear(tally: Tally, all_of_target: Iterable[Tally]) -> bool:
    """By what all runs until now have cost, which is an order that hardly changes after the first minutes."""
    own = tally.cost.database_seconds
    dearer = sum(other.cost.database_seconds > own for other in all_of_target)
    return own > 0 and dearer < (2 * DEAREST if tally.is_dear else DEAREST)
