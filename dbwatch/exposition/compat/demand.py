"""Owns who is asked for: a target whose compatibility page nobody scrapes is not measured for it. Knows no page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

LASTING_SECONDS: Final = 600.0
"""Longer than Prometheus would wait between two scrapes of one page: it calls a series stale after five minutes."""


class Demand:
    """Thread-safe; bounded by the targets that were asked for and not forgotten."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[float, float]] = {}

    def ask(self, targets: Iterable[str]) -> None:
        """Somebody wants the page of these targets."""
        now = self._clock()
        with self._lock:
            for target in targets:
                began, last = self._asked.get(target, (now, now))
                self._asked[target] = (began if now - last <= LASTING_SECONDS else now, now)

    def began(self, target: str) -> float | None:
        """Since when the page has been asked for again and again; None when nobody did lately."""
        with self._lock:
            began, last = self._asked.get(target, (0.0, -LASTING_SECONDS))
        return began if self._clock() - last <= LASTING_SECONDS else None

    def forget(self, target: str) -> None:
        with self._lock:
            self._asked.pop(target, None)
