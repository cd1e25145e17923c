"""Owns how many rows a relation holds now, and whether its statistics still describe them. Pure.

Knows nothing of bytes and layouts.
"""

from __future__ import annotations

from dataclasses import dataclass

_DRIFT = 0.2
"""The share of rows (or pages) that may change before the statistics of a relation are called stale."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What the catalogue and the cumulative statistics say of one table, and its true size in pages."""

    pages: int
    relpages: int
    reltuples: float
    """-1 where no VACUUM or ANALYZE ever counted (PostgreSQL 13: 0 with relpages 0)."""
    live: int
    dead: int
    modified: int
    """Rows changed since the last ANALYZE."""
    counted: bool
    """A VACUUM or ANALYZE is on record. Both set the row counters to what they saw, so these hold even after a
    reset. Without one (a crash, a reset, a standby) they are only a change since an unknown moment."""

    @property
    def never_analyzed(self) -> bool:
        return self.reltuples < 0 or (self.reltuples == 0 and self.relpages == 0)

    @property
    def live_rows(self) -> float | None:
        """The best count of live rows; None where nothing ever counted them."""
        if self.counted:
            return float(self.live)
        if self.never_analyzed or self.relpages <= 0:
            return None
        return self.reltuples * self.pages / self.relpages

    @property
    def dead_rows(self) -> float | None:
        """Rows that VACUUM has yet to remove; None where the counters cannot tell."""
        return float(self.dead) if self.counted else None

    @property
    def is_stale(self) -> bool:
        """Whether too much changed since ANALYZE for widths and distinct counts to be believed."""
        rows = self.live_rows
        if rows is None:
            return True
        if self.modified > _DRIFT * max(rows, 1.0):
            return True
        return not self.counted and self.has_moved

    @property
    def has_moved(self) -> bool:
        """Whether the size is far from what the last VACUUM or ANALYZE saw."""
        return abs(self.pages - self.relpages) > _DRIFT * self.relpages
