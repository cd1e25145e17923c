"""Owns the btree model: how many pages a freshly built index of so many rows would have. Pure.

Follows the bottom-up build (leaf pages filled to the fillfactor, internal pages to 70 %, equal keys merged into
posting lists), because that is what REINDEX does. Knows no SQL and no statistics view.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from dbwatch.engines.postgres.bloat.layout import CELL, LINE_POINTER, Column, Item, Width, index_item

_PAGE_OVERHEAD = 24 + 16
"""The page header and the btree's own part at the end."""
_INTERNAL_FILLFACTOR = 70
_ROW_POINTER = 6
_POISSON_BELOW = 40.0
"""Larger groups are so alike in cost a row that their spread does not matter."""
_NO_DUPLICATES = 1e-6
_SAMPLE = 2000
"""Leaf items that are laid out one by one to learn how full pages get."""
_ENOUGH_PAGES = 3
_SKEW = 10.0
"""A most common value this many times the average makes the distinct count a matter of luck."""
_NULL = Column(Width.fixed(0), 1, null_frac=1.0)


@dataclass(frozen=True, slots=True)
class Keys:
    """The columns of an index and how its rows fall into groups of equal keys."""

    columns: tuple[Column, ...]
    groups: float | None = None
    """The number of distinct keys, NULL apart; None where equal keys are not merged."""
    frequencies: tuple[float, ...] = ()
    """Shares of all rows that the most common keys have (single column only)."""

    @property
    def null_share(self) -> float:
        """The rows that share the one NULL key (single column only)."""
        return self.columns[0].null_frac if len(self.columns) == 1 else 0.0


def built_pages(rows: float, keys: Keys, fillfactor: int, block_size: int) -> int:
    """Pages of the index after a build: leaves, internal levels and the metapage."""
    if rows < 1:
        return 1
    room = block_size - _PAGE_OVERHEAD - 2 * LINE_POINTER
    item = index_item(keys.columns)
    reserve = block_size * (100 - fillfactor) // 100
    if keys.groups is None:
        pages = math.ceil(rows / _per_page(item, room - reserve))
    else:
        leaf = _grouped(rows, keys, item, block_size)
        filled = _filled(leaf.sample, room, reserve)
        per_page = _per_page(leaf.mean, room - reserve)
        if filled is not None:
            # Where few of the bytes are in large lists, how full those lists leave a page says little.
            per_page += (filled / leaf.mean.size - per_page) * leaf.listed / leaf.size
        pages = math.ceil(leaf.items / per_page)
    internal_room = room - block_size * (100 - _INTERNAL_FILLFACTOR) // 100
    fan_out = max(2.0, internal_room / item.size)
    total_pages = 1 + pages
    while pages > 1:
        pages = math.ceil(pages / fan_out)
        total_pages += pages
    return total_pages


def _per_page(item: Item, mark: float) -> float:
    """Items of a leaf. The one that crosses the fill mark moves on and leaves its key as the page's high key."""
    if item.exact:
        return float(max(1, math.floor(mark / item.size)))
    return max(1.0, mark / item.size - 0.5)


def _filled(items: Iterable[_Stored], room: int, reserve: int) -> float | None:
    """Mean bytes of a leaf when these items, many of them posting lists, come in order; None for too few.

    The high key sheds its posting list, so lists may go beyond the fill mark by their own size while there is room.
    """
    pages, data, used, held = 0, 0.0, 0.0, 0
    last = _Stored(0.0, 0.0)
    for item in items:
        full = room - used < item.size - LINE_POINTER + CELL or room - used + last.list_size < reserve
        if full and held > 1:
            pages, data = pages + 1, data + used - last.size
            used, held = last.size, 1
        used, held, last = used + item.size, held + 1, item
    return data / pages if pages >= _ENOUGH_PAGES else None


@dataclass(frozen=True, slots=True)
class _Stored:
    """One leaf item; `list_size` bytes of it point at rows."""

    size: float
    list_size: float


@dataclass(frozen=True, slots=True)
class _Load:
    """Bytes and number of leaf items; `listed` of the bytes are large lists, of which there is a sample in order."""

    size: float = 0.0
    items: float = 0.0
    sample: tuple[_Stored, ...] = ()
    listed: float = 0.0

    def __add__(self, other: _Load) -> _Load:
        sample = self.sample + other.sample if len(self.sample) < _SAMPLE else self.sample
        return _Load(self.size + other.size, self.items + other.items, sample, self.listed + other.listed)

    def times(self, factor: float) -> _Load:
        return _Load(self.size * factor, self.items * factor)

    @property
    def mean(self) -> Item:
        return Item(self.size / self.items, exact=False)


def _grouped(rows: float, keys: Keys, item: Item, block_size: int) -> _Load:
    """All leaf items when equal keys are merged."""
    groups = max(1.0, keys.groups or 1.0)
    load = _Load()
    nulls = rows * keys.null_share
    if nulls >= 1:
        load = _group(nulls, index_item((_NULL,)).size, block_size)
        item = index_item(tuple(replace(column, null_frac=0.0) for column in keys.columns))
    rest = rows - nulls
    for frequency in keys.frequencies[: math.floor(groups)]:
        size = min(rest, frequency * rows)
        if size >= 1:
            load += _group(size, item.size, block_size)
            rest, groups = rest - size, groups - 1
    if rest >= 1:
        groups = min(max(1.0, groups), rest)
        mean = rest / groups
        typical = _typical_group(mean, item.size, block_size).times(groups)
        if mean >= _POISSON_BELOW:
            one = _group(mean, item.size, block_size).sample
            sample = one * min(math.ceil(groups), _SAMPLE // len(one) + 1)
            typical = replace(typical, sample=sample, listed=typical.size)
        load += typical
    return load if load.items > 0 else _Load(item.size, 1.0)


def _typical_group(mean: float, item: float, block_size: int) -> _Load:
    """A group of `mean` rows on average: the dearer of equal and of random group sizes."""
    even = _between(mean, item, block_size)
    if mean >= _POISSON_BELOW:
        return even
    random = _scattered(mean, item, block_size)
    return even if even.size >= random.size else random


def _between(mean: float, item: float, block_size: int) -> _Load:
    low = math.floor(mean)
    share = mean - low
    return _group(low, item, block_size).times(1 - share) + _group(low + 1, item, block_size).times(share)


def _scattered(mean: float, item: float, block_size: int) -> _Load:
    """As if rows had picked their key at random: group sizes are Poisson, without the keys nobody picked."""
    rate = _rate_of_truncated_mean(mean)
    if rate <= _NO_DUPLICATES:
        return _group(1, item, block_size)
    chance = math.exp(-rate) / -math.expm1(-rate)
    load = _Load()
    for size in range(1, int(mean + 12 * math.sqrt(mean)) + 12):
        chance *= rate / size
        load += _group(size, item, block_size).times(chance)
    return load


def _rate_of_truncated_mean(mean: float) -> float:
    """The Poisson rate whose mean, zeros left out, is `mean`: rate / (1 - exp(-rate)) = mean."""
    low, high = 0.0, mean
    for _ in range(60):
        middle = (low + high) / 2
        if middle > 0 and middle / -math.expm1(-middle) > mean:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def _group(size: float, item: float, block_size: int) -> _Load:
    """`size` rows with one key: full posting lists and a rest."""
    if size < 1:
        return _Load()
    key = item - LINE_POINTER
    largest = (block_size * 10 // 100 // CELL * CELL - LINE_POINTER) // CELL * CELL
    most = max(1, int((largest - key) // _ROW_POINTER))
    full, rest = divmod(size, most)
    whole, tail = _posting(most, key), _posting(rest, key)
    sample = (whole,) * min(int(full), _SAMPLE) + ((tail,) if rest > 0 else ())
    total = whole.size * full + (tail.size if rest > 0 else 0.0)
    return _Load(total, full + (1.0 if rest > 0 else 0.0), sample, total)


def _posting(size: float, key: float) -> _Stored:
    if size <= 1:
        return _Stored(key + LINE_POINTER, 0.0)
    total = math.ceil((key + _ROW_POINTER * size) / CELL) * CELL
    return _Stored(total + LINE_POINTER, _ROW_POINTER * size)


def plausible_groups(
    distinct: Sequence[float], combined: float | None, rows: float, missed: float
) -> tuple[float, float]:
    """The fewest and the most distinct keys that column statistics allow.

    Columns may depend on each other (fewest) or not (most); `combined` settles it. `missed` is the factor by which
    the sample behind the counts may fall short.
    """
    if combined is None:
        fewest, most = max(distinct), math.prod(distinct)
    else:
        fewest = most = combined
    return max(1.0, min(fewest, rows)), max(1.0, min(most * missed, rows))


def missed_factor(rows: float, pages: int, sampled: int, distinct: float, commonest: float) -> float:
    """How many times more distinct values a column may have than ANALYZE found.

    Its rows come from a sample of blocks: where equal values lie together, it meets them more often than the whole
    table would. And where some value (`commonest`, a share of all rows) is far more common than the average, no
    estimate from a sample can be better than the root of rows / sample.
    """
    blocks = pages / max(1, sampled)
    luck = math.sqrt(rows / max(1, sampled)) if commonest * distinct > _SKEW else 1.0
    return max(1.0, blocks, luck)
