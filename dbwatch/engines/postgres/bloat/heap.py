"""Owns the heap model: from rows, row size and free space to the share of pages a rewrite would give back. Pure.

Knows no SQL and no column: `layout` says how large a row is, `activity` how many there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dbwatch.engines.postgres.bloat.layout import LINE_POINTER, Item

_PAGE_HEADER = 24
_SMALLEST = 24.0 + LINE_POINTER
_WIDE = 1000.0
"""From here on few rows share a page, and what does not fit a whole row is no free slot."""


@dataclass(frozen=True, slots=True)
class Page:
    """The geometry of a heap page under a fillfactor."""

    block_size: int
    fillfactor: int = 100

    @property
    def reserve(self) -> int:
        """Bytes that INSERT leaves for updates."""
        return self.block_size * (100 - self.fillfactor) // 100

    @property
    def full(self) -> int:
        return self.block_size - _PAGE_HEADER

    @property
    def usable(self) -> int:
        return self.full - self.reserve

    def holds(self, item: Item) -> float:
        """The mean number of rows on a freshly filled page."""
        if item.exact:
            return float(max(1, math.floor(self.usable / item.size)))
        return max(1.0, (self.usable - item.size / 4) / item.size)


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """The free space map as a histogram: (free bytes, pages) over the pages that were looked at."""

    histogram: tuple[tuple[int, int], ...]

    @property
    def pages(self) -> int:
        return sum(pages for _, pages in self.histogram)


@dataclass(frozen=True, slots=True)
class HeapShare:
    """Shares of the pages: what a rewrite gives back, and the part that dead rows still hold."""

    bloat: float
    dead: float


def bloat_by_rows(rows: float, dead: float, pages: int, item: Item, page: Page) -> HeapShare:
    """Pages beyond what `rows` rows need."""
    if pages <= 0:
        return HeapShare(0.0, 0.0)
    held = page.holds(item) * pages
    bloat = _share(1.0 - rows / held)
    return HeapShare(bloat, min(bloat, _share(dead / held)))


def bloat_by_slots(free: FreeSpace, dead: float, pages: int, item: Item, page: Page) -> HeapShare:
    """Whole rows that fit the recorded free space, and the slots that dead rows will leave.

    A page that lost rows keeps their line pointers, so a returning row needs only its own bytes. Counting whole
    rows keeps the remainder of a page of wide rows from looking like bloat.
    """
    if pages <= 0 or free.pages <= 0:
        return HeapShare(0.0, 0.0)
    holds = page.holds(item)
    row = item.size - LINE_POINTER
    slots = sum(min(holds, max(0, (bytes_free - page.reserve) // row)) * count for bytes_free, count in free.histogram)
    freed = slots / (holds * free.pages)
    waiting = _share(dead / (holds * pages))
    bloat = _share(freed + waiting)
    return HeapShare(bloat, min(bloat, waiting))


def bloat_by_natural_rest(free: FreeSpace, live: float, dead: float, pages: int, chunk: int, page: Page) -> HeapShare:
    """Bloat where rows come in whole chunks and smaller rests, in an order nobody knows (TOAST).

    A page is closed when the next whole chunk does not fit, so pages without room for one show what a full page
    leaves over. Pages that lost rows are counted by what they lack of that.
    """
    held = live + dead
    used = used_bytes(free, pages, page)
    if pages <= 0 or free.pages <= 0 or held < 1 or used <= 0:
        return HeapShare(0.0, 0.0)
    full = [(bytes_free, count) for bytes_free, count in free.histogram if bytes_free < chunk]
    closed = sum(count for _, count in full)
    rest = sum(bytes_free * count for bytes_free, count in full) / closed if closed else 0.0
    holds = max(1.0, (page.full - rest) / (used / held))
    bloat = _share(1.0 - live / (holds * pages))
    return HeapShare(bloat, min(bloat, _share(dead / (holds * pages))))


def used_bytes(free: FreeSpace, pages: int, page: Page) -> float:
    """Bytes in use on all pages. The map rounds free space down by half a step on average, and keeps back the
    line pointer of a row to come; the highest step is an empty page."""
    step = page.block_size / 256
    used = sum(
        count * max(0.0, page.full - bytes_free - LINE_POINTER - (step / 2 if bytes_free else 0.0))
        for bytes_free, count in free.histogram
        if bytes_free < page.full - step
    )
    return used * pages / free.pages if free.pages else 0.0


def item_from_use(rows: float, used: float, pages: int, page: Page) -> Item | None:
    """The mean size that `rows` stored rows must have to use just so many bytes; None without rows.

    Needs no column statistics. Deleted rows leave their line pointers behind: pages that were filled once with rows
    of x bytes hold pages·usable/x pointers, so rows·x + 4·(pages·usable/x − rows) = used, which is solved for x.
    """
    if rows < 1 or pages <= 0:
        return None
    size = used / rows
    middle = used + LINE_POINTER * rows
    inner = middle * middle - 4 * rows * LINE_POINTER * pages * page.usable
    if inner > 0:
        size = min(size, (middle + math.sqrt(inner)) / (2 * rows))
    size = min(max(size, _SMALLEST), float(page.usable))
    return Item(size, exact=size > _WIDE)


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
