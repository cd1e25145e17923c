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

    def seconds_until(self, goal: float, name: Name, value: float, at: float, over_seconds: float) -> float | None:
        """Until the value is `goal` at that speed; None where it is not known or never comes there."""
        speed = self.speed(name, value, at, over_seconds)
        return (goal - value) / speed if speed is not None and speed > 0 else None

    def speed_beside_rush(
        self, name: Name, value: float, at: float, over_seconds: float, rush_seconds: float
    ) -> float | None:
        """The same without the `rush_seconds` in which it grew most; None when less than those remains.

        What came while nobody looked may have come at once, so the time between two neighbouring points is a rush
        however long it was.
        """
        points = [*self._points.get(name, []), (at, value)]
        since = [index for index, (then, _) in enumerate(points) if at - then >= over_seconds]
        if not since:
            return None
        points = points[since[-1] :]
        rush, rush_took = 0.0, 0.0
        for first, (begin, before) in enumerate(points):
            for second in range(first + 1, len(points)):
                end, after = points[second]
                if second > first + 1 and end - begin > rush_seconds:
                    break
                if after - before > rush:
                    rush, rush_took = after - before, end - begin
        then, before = points[0]
        remaining = at - then - max(rush_took, rush_seconds)
        return (value - before - rush) / remaining if remaining >= rush_seconds else None
