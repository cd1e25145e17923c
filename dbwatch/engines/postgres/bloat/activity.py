"""Owns how many rows a relation holds now, and whether its statistics still describe them. Pure.

Knows nothing of bytes and layouts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dbwatch.engines.postgres.bloat.rows import Row, flag, integer, number, number_or_none

_DRIFT = 0.2
"""The share of rows (or pages) that may change before the statistics of a relation are called stale."""
_UNMOVED = 0.01
LATE_SECONDS = 300.0
"""Counters of work done before a VACUUM or ANALYZE may arrive after it: a session hands them in at most once a second,
at the latest ten seconds after it went idle or when it ends. Autovacuum then counts again within minutes."""


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
    changes: int = 0
    """Rows ever inserted, updated or deleted."""
    counted_seconds: float | None = None
    """Since the last VACUUM or ANALYZE. Both set the row counters to what they saw, so these hold even after a
    reset. Without one (a crash, a reset, a standby) they are only a change since an unknown moment."""
    analyzed_last: bool = False
    """That last one was an ANALYZE."""
    is_settled: bool = False
    """The counters were put back to what that VACUUM or ANALYZE saw."""

    @property
    def counted(self) -> bool:
        """A VACUUM or ANALYZE is on record."""
        return self.counted_seconds is not None

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
        return float(self.dead) if self.counted and not self.is_settled else None

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

    @property
    def counted_too_late(self) -> bool:
        """Proof that the counters hold work done before the ANALYZE as done after it: it saw rows, and yet every
        change there ever was is counted as later."""
        return self.analyzed_last and self.reltuples > 0 and self.modified >= self.changes > 0

    def settled(self) -> tuple[Activity, Activity] | None:
        """What the last VACUUM or ANALYZE saw, where counters may have arrived late; None elsewhere.

        A session that fills, deletes and vacuums a table hands in its counters after the VACUUM, which then look
        like changes made since. While the table has the size the VACUUM left it at, what that counted is at least as
        good. The second activity takes the counters at their word: as many rows have died since.
        """
        if self.counted_seconds is None or self.reltuples < 0:
            return None
        if abs(self.pages - self.relpages) > _UNMOVED * self.relpages:
            return None
        if self.counted_seconds > LATE_SECONDS and not self.counted_too_late:
            return None
        rows = round(self.reltuples)
        if abs(self.live - rows) + self.dead + self.modified <= _UNMOVED * max(rows, 1):
            return None
        modified = 0 if self.analyzed_last else self.modified
        then = replace(self, live=rows, dead=0, modified=modified, is_settled=True)
        return then, replace(self, live=max(0, rows - self.dead), modified=modified)


def activity_of(row: Row, pages: int) -> Activity:
    """From the columns of `sql_parts.TABLE_COUNTERS` and of pg_class."""
    return Activity(
        pages=pages,
        relpages=integer(row, "relpages"),
        reltuples=number(row, "reltuples"),
        live=integer(row, "live"),
        dead=integer(row, "dead"),
        modified=integer(row, "modified"),
        changes=integer(row, "changes"),
        counted_seconds=number_or_none(row, "counted_seconds"),
        analyzed_last=flag(row, "analyzed_last"),
    )
