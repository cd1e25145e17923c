"""Owns what the watched nodes of one cluster tell each other in this process. Knows no query and judges nothing.

Nodes belong together when they have the same system identifier: initdb makes it, and every physical standby carries
its primary's. Each lane tells from its own thread, so everything here is locked; nothing here waits for anything.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Kind = TypeVar("Kind")

MOST_POINTS = 4096
TAKEOVER_SECONDS = 30.0
"""A node that has been silent for that long is no longer the one whose log positions are followed."""


@dataclass(frozen=True, slots=True)
class Told(Generic[Kind]):
    """What a target told last. `at` is the monotonic clock."""

    value: Kind
    at: float


@dataclass(frozen=True, slots=True)
class Window:
    """When the primary wrote past a position: later than `after` and not later than `by` (monotonic clock).

    `after` is None when it happened before we looked, `by` is None when it had not happened at our last look.
    """

    after: float | None
    by: float | None


@dataclass(slots=True)
class _Point:
    """The primary was at `lsn` from `first` to `last`, as far as we looked."""

    lsn: int
    first: float
    last: float


class LsnClock:
    """When the primary's flushed log position was where. Bounded; equal positions are one point."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._points: list[_Point] = []
        self._target: str | None = None

    @property
    def last(self) -> tuple[int, float] | None:
        """The newest position known and when it was read."""
        with self._lock:
            return (self._points[-1].lsn, self._points[-1].last) if self._points else None

    def tick(self, target: str, lsn: int, at: float) -> None:
        """A node that is not in recovery was at `lsn`. One node is followed at a time; a step back starts anew."""
        with self._lock:
            newest = self._points[-1] if self._points else None
            if newest is not None and self._target != target and at - newest.last < TAKEOVER_SECONDS:
                return
            if newest is not None and (self._target != target or lsn < newest.lsn):
                self._points.clear()
                newest = None
            self._target = target
            if newest is not None and lsn == newest.lsn:
                newest.last = max(newest.last, at)
                return
            self._points.append(_Point(lsn, at, at))
            if len(self._points) > MOST_POINTS:
                del self._points[: MOST_POINTS // 4]

    def passed(self, lsn: int) -> Window | None:
        """When the primary wrote past `lsn`; None when no position was ever read."""
        with self._lock:
            if not self._points:
                return None
            index = bisect.bisect_right(self._points, lsn, key=lambda point: point.lsn)
            after = self._points[index - 1].last if index > 0 else None
            by = self._points[index].first if index < len(self._points) else None
            return Window(after, by)


class Cluster:
    """The watched nodes of one system identifier."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = LsnClock()
        self._now = clock
        self._lock = threading.Lock()
        self._told: dict[type[object], dict[str, Told[object]]] = {}

    def tell(self, target: str, value: object) -> None:
        """Keep `value` as the latest of its class from this target."""
        with self._lock:
            self._told.setdefault(type(value), {})[target] = Told(value, self._now())

    def told(self, kind: type[Kind], *, within_seconds: float) -> Mapping[str, Told[Kind]]:
        """What each target told of this kind, not longer ago than that."""
        oldest = self._now() - within_seconds
        found: dict[str, Told[Kind]] = {}
        with self._lock:
            for target, told in self._told.get(kind, {}).items():
                if told.at >= oldest and isinstance(told.value, kind):
                    found[target] = Told(told.value, told.at)
        return found

    def has_heard(self, target: str) -> bool:
        """Whether this target ever told anything of the cluster."""
        with self._lock:
            return any(target in told for told in self._told.values())


class Clusters:
    """All clusters of this process, by system identifier. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Cluster] = {}

    def of(self, system_identifier: str | None) -> Cluster | None:
        """The cluster of this identifier; None when the server would not tell it."""
        if system_identifier is None:
            return None
        with self._lock:
            return self._known.setdefault(system_identifier, Cluster())

    def of_target(self, target: str) -> tuple[str, Cluster] | None:
        """The identifier and the cluster a target has told of; None until it has."""
        with self._lock:
            known = list(self._known.items())
        return next(((identifier, cluster) for identifier, cluster in known if cluster.has_heard(target)), None)

    def known(self, system_identifier: str) -> Cluster | None:
        """The cluster of this identifier, if one of its nodes is watched."""
        with self._lock:
            return self._known.get(system_identifier)
