"""Owns telling the server's time from the network's: what even the shortest answer of a connection took. Pure."""

from __future__ import annotations

import math
from typing import Final

FREE_SECONDS: Final = 0.0005
"""What a server may take for the least question; more than that, always, is the way there and back."""


class RoundTrip:
    """Told how long every question took, of one session."""

    def __init__(self) -> None:
        self._least = math.inf

    def note(self, seconds: float) -> None:
        """Of a question that costs next to nothing."""
        self._least = min(self._least, seconds)

    def without(self, seconds: float) -> float:
        """What is left of `seconds` for the server."""
        self.note(seconds)
        return seconds - max(0.0, self._least - FREE_SECONDS)
