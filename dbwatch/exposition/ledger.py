"""Owns what is known of every check on every target for the page: rendered bytes and counts, by target and check.

Two locks. `_counting` orders the writers; `_lock` is held for a swap or a copy only, so a reader never waits for bytes
being rendered.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from dbwatch.exposition.block import NOTHING, Block
from dbwatch.exposition.tally import Cost, Tally
from dbwatch.model import Outcome


@dataclass(frozen=True, slots=True)
class Entry:
    """What the page says of one check on one target. `samples` are left out from `expires` on.

    `limits` and `verdict` mostly stay as they are from run to run; `limited_by` is what `limits` were rendered from.
    """

    runs: Block = NOTHING
    verdict: Block = NOTHING
    limits: Block = NOTHING
    limited_by: tuple[object, ...] = ()
    outcome: Outcome | None = None
    samples: Block = NOTHING
    expires: float = math.inf
    is_probe: bool = False

    @property
    def about(self) -> tuple[Block, ...]:
        """Everything but the samples."""
        return self.verdict, self.limits, self.runs


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
            tally = self._tallies.setdefault(target, {}).setdefault(check, Tally())
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
