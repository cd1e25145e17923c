"""Owns when a server that did not let us in is asked again. Knows no target and no session."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from dbwatch.errors import TargetError
from dbwatch.model import Reason

SLOW_REASONS: Final = frozenset({Reason.AUTH, Reason.TOO_MANY_CONNECTIONS, Reason.NO_DATABASE})
"""A person has to mend these, and asking often makes them worse: an account is locked, a slot is taken."""

_FIRST_BACKOFF: Final = 1.0
_LAST_BACKOFF: Final = 60.0
_CROWDED_BACKOFF: Final = 30.0


class Backoff:
    """When the next connection attempt is due after failures: 1 s doubling to 60 s, with jitter."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._due = 0.0
        self.error: TargetError | None = None

    @property
    def waiting(self) -> bool:
        return self.error is not None and self._clock() < self._due

    def fail(self, error: TargetError) -> None:
        """A full or a refusing server is asked again later than one that is merely away."""
        self.error = error
        pause = min(_LAST_BACKOFF, _FIRST_BACKOFF * 2**self._failures)
        if error.reason in SLOW_REASONS:
            pause = max(pause, _CROWDED_BACKOFF)
        self._failures = min(self._failures + 1, 10)
        self._due = self._clock() + pause * random.uniform(0.8, 1.0)  # noqa: S311 - jitter, not cryptography

    def clear(self) -> None:
        self._failures = 0
        self.error = None
