"""Owns what the watched primaries tell each other in this process. Knows no command and judges nothing.

Servers belong together when their histories do: a replica carries its primary's replication id, and a promoted
one keeps it as its second while it makes a new first. Each lane tells from its own thread, so everything is locked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NO_ID = "0" * 40


@dataclass(frozen=True, slots=True)
class Primary:
    """A target that is a primary, since `since` at the latest (monotonic clock).

    A run id is made at every start: two targets with the same are two ways to one server.
    """

    run_id: str
    histories: frozenset[str]
    since: float
    is_declared: bool


@dataclass(frozen=True, slots=True)
class _Told:
    primary: Primary
    at: float


class Peers:
    """What each target that is a primary told last. Any thread; one entry a target."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = clock
        self._lock = threading.Lock()
        self._told: dict[str, _Told] = {}

    def tell(self, target: str, primary: Primary) -> None:
        with self._lock:
            self._told[target] = _Told(primary, self.now())

    def withdraw(self, target: str) -> None:
        """The target is no primary any more."""
        with self._lock:
            self._told.pop(target, None)

    def rivals(self, target: str, own: Primary, *, within_seconds: float) -> Mapping[str, Primary]:
        """The targets that are another server with a common history and were a primary while `own` was one."""
        oldest = max(self.now() - within_seconds, own.since)
        with self._lock:
            return {
                name: told.primary
                for name, told in sorted(self._told.items())
                if name != target
                and told.at >= oldest
                and told.primary.run_id != own.run_id
                and told.primary.histories & own.histories
                and not (told.primary.is_declared and own.is_declared)
            }
