"""Owns remembering how numbers moved over days, thinly. Knows no server and no clock: the caller brings the time.

A burst is no trend, so a speed is only told over a stretch that is long enough.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)


class History(Generic[Name]):
    """Of each name the values of the last `span_seconds`, at least `step_seconds` apart; of `most` names.

    A value that only grows began anew when it fell: then what was before tells nothing any more.
    """

    def __init__(self, *, span_seconds: float, step_seconds: float, most: int, only_grows: bool = True) -> None:
        self._span = span_seconds
        self._step = step_seconds
        self._most = most
        self._only_grows = only_grows
        self._points: dict[Name, list[tuple[float, float]]] = {}

    def add(self, name: Name, value: float, at: float) -> None:
        """Remember a value."""
        points = self._points.pop(name, [])
        if self._only_grows and points and value < points[-1][1]:
            points = []
        if not points or at - points[-1][0] >= self._step:
            points.append((at, value))
        while len(points) > 2 and at - points[1][0] >= self._span:
            del points[0]
        # The name seen last stands last, so that the one not seen for longest goes first.
        self._points[name] = points
        while len(self._points) > self._most:
            del self._points[next(iter(self._points))]

    def speed(self, name: Name, value: float, at: float, over_seconds: float) -> float | None:
        """Growth per second up to this value, since the youngest point that is `over_seconds` old; None without one."""
        since = [point for point in self._points.get(name, []) if at - point[0] >= over_seconds]
        if not since:
            return None
        then, before = since[-1]
        return (value - before) / (at - then)
