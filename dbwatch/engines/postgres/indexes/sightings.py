"""Owns how old an index can be proven to be, from transaction ids we have seen go by. Knows no query.

The server does not say when an index was made, but its catalogue row carries the transaction that wrote it. Reading
now and then where the transaction ids are dates every row that is written from then on.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

_EVERY_SECONDS = 600.0
_MOST = 2048


@dataclass(slots=True)
class Sightings:
    """All transactions below `xids[i]` had ended at `times[i]` (the server's clock). Bounded, oldest first."""

    xids: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def saw(self, oldest_running_xid: int, at_seconds: float) -> None:
        """Every transaction below that one had ended at that time. Times and ids that step back start anew."""
        if self.times and (at_seconds < self.times[-1] or oldest_running_xid < self.xids[-1]):
            self.xids.clear()
            self.times.clear()
        if self.times and at_seconds - self.times[-1] < _EVERY_SECONDS:
            return
        self.xids.append(oldest_running_xid)
        self.times.append(at_seconds)
        if len(self.times) > _MOST:
            # Fewer points date a row later than it is, never earlier. The first is what "before us" means: it stays.
            del self.xids[1::2], self.times[1::2]

    def written_by(self, xid: int, now_seconds: float) -> float | None:
        """When what this transaction wrote was certainly there; None when it was there before we first looked."""
        index = bisect.bisect_right(self.xids, xid)
        if index == 0:
            return None
        return self.times[index] if index < len(self.times) else now_seconds
