"""Owns how often a tool is run at the most: once in five minutes, however many checks ask. Knows no tool.

What was seen is kept until then, and so is a failure: a repository that does not answer is not asked by every check.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dbwatch.deadline import Deadline
from dbwatch.engines.backup.record import Seen, Source, SourceName
from dbwatch.errors import CheckError

LEAST_SECONDS = 285.0
"""Five minutes, less what a schedule may be early."""


class Paced:
    """A source that is looked at anew only when the last look is old enough. Thread-safe."""

    def __init__(self, source: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self._inner = source
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at: float | None = None
        self._last: Seen | CheckError | None = None

    @property
    def source(self) -> SourceName:
        return self._inner.source

    @property
    def name(self) -> str:
        return self._inner.name

    def look(self, deadline: Deadline) -> Seen:
        with self._lock:
            if self._last is None or self._looked_at is None or self._clock() - self._looked_at >= LEAST_SECONDS:
                self._last = self._anew(deadline)
                self._looked_at = self._clock()
            last = self._last
        if isinstance(last, CheckError):
            raise CheckError(last.reason, str(last), step=last.step, remedy=last.remedy)
        return last

    def _anew(self, deadline: Deadline) -> Seen | CheckError:
        try:
            return self._inner.look(deadline)
        except CheckError as error:
            return error
