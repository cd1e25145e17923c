"""Owns the one time limit of a run. Knows no threads and no sockets."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock by which a run has to be over."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def remaining(self) -> float:
        """Seconds left; 0 when it has passed."""
        return max(0.0, self.at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self.remaining == 0.0

    def capped(self, seconds: float) -> Deadline:
        """This deadline, or one `seconds` from now when that is earlier."""
        return Deadline(min(self.at, time.monotonic() + seconds))
