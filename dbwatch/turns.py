"""Owns when it is news that a target went down or came back. Knows no target and no log.

A server that lets us in and cuts us off, or that somebody restarts in a loop, turns with every check. The log is to
say so once; an outage that comes after a minute of peace is always told.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum

STEADY_SECONDS = 60.0
PERIOD_SECONDS = 3600.0
MOST_HASTY_TURNS = 6


class News(StrEnum):
    TOLD = "told"
    TOO_MANY = "too many"
    SILENT = "silent"


class Turns:
    """Asked at every turn; bounded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = float("-inf")
        self._hasty: deque[float] = deque(maxlen=MOST_HASTY_TURNS + 1)

    def turn(self) -> News:
        """What to say of a turn at this moment."""
        now = self._clock()
        calm, self._last = now - self._last >= STEADY_SECONDS, now
        if calm:
            return News.TOLD
        while self._hasty and now - self._hasty[0] >= PERIOD_SECONDS:
            self._hasty.popleft()
        if len(self._hasty) > MOST_HASTY_TURNS:
            return News.SILENT
        self._hasty.append(now)
        return News.TOO_MANY if len(self._hasty) > MOST_HASTY_TURNS else News.TOLD
