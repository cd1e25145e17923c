"""Owns telling the server's time from the network's: what even the shortest answer of a connection took. Pure."""

from __future__ import annotations

import math
from typing import Final

FREE_SECONDS: Final = 0.0005
"""What a server may take for the least question; more than that, always, is the way there and back."""

HELD_SECONDS: Final = 0.05
"""No answer on a healthy way is later than the others by so much."""


class RoundTrip:
    """Told how long every question took, of one session."""

    def __init__(self) -> None:
        self._least = math.inf

    def kept_waiting(self, seconds: float) -> float:
        """What a question that costs next to nothing took, when the server held it: else it is the network's."""
        self._least = min(self._least, seconds)
        over = seconds - self._least
        return over if over > HELD_SECONDS else 0.0

    def without(self, seconds: float) -> float:
        """What is left of `seconds` for the server."""
        self._least = min(self._least, seconds)
        return seconds - max(0.0, self._least - FREE_SECONDS)
