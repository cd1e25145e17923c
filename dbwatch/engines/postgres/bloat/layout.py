"""Owns how a row's bytes lie in a tuple: header, NULL bitmap, padding, values. Pure arithmetic on column facts.

Knows nothing of pages, of servers, or of where the facts came from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CELL = 8
"""MAXALIGN of every platform PostgreSQL runs on: tuples start, and are rounded up, on this boundary."""
LINE_POINTER = 4
_HEAP_HEADER = 23
_INDEX_HEADER = 8
_INDEX_HEADER_WITH_NULLS = 16
_SHORT_VARLENA = 127
"""The longest value that keeps a 1-byte header; only longer ones are aligned."""
_STEP = 4
_UNSAMPLED = 1000
"""ANALYZE keeps no samples of values wider than 1 kB: such a column is taken as of one width."""


@dataclass(frozen=True, slots=True)
class Width:
    """The stored size of a column's values: one size, a sampled spread of sizes, or only a mean."""

    mean: float
    sizes: tuple[tuple[int, float], ...] = ()
    """(bytes, probability), adding up to 1; empty where only the mean is known."""

    @classmethod
    def fixed(cls, size: int) -> Width:
        return cls(float(size), ((size, 1.0),))

    @classmethod
    def varying(cls, mean: float, sampled: Iterable[tuple[int, float]] = ()) -> Width:
        """From ANALYZE's truncated mean and the sampled sizes, as far as the two describe the same thing.

        They do not where values are compressed or moved to TOAST: samples are of whole values, the mean of what
        is stored.
        """
        pairs = [(size, weight) for size, weight in sampled if weight > 0]
        total = sum(weight for _, weight in pairs)
        if total > 0:
            sample_mean = sum(size * weight for size, weight in pairs) / total
            if abs(sample_mean - mean) <= max(1.5, 0.03 * mean):
                return cls(sample_mean, tuple((size, weight / total) for size, weight in pairs))
        if mean > _UNSAMPLED:
            return cls.fixed(round(mean))
        return cls(mean + 0.5 if mean > 0 else 0.0)

    @classmethod
    def stepped(cls, mean: float, *, packable: bool) -> Width:
        """From a truncated mean alone, of a type whose payload grows by four bytes (arrays)."""
        if not 0 < mean <= _UNSAMPLED:
            return cls.varying(mean)
        short = packable and mean <= _SHORT_VARLENA
        rest = 1 if short else 0
        low = math.floor((mean - rest) / _STEP) * _STEP + rest
        if mean == low:
            return cls.fixed(low)
        share = (min(mean + 0.5, low + _STEP) - low) / _STEP
        return cls(low + share * _STEP, ((low, 1 - share), (low + _STEP, share)))

    @property
    def is_exact(self) -> bool:
        return len({size for size, _ in self.sizes}) == 1


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute in storage order. A dropped or virtual one is always NULL."""

    width: Width
    align: int
    null_frac: float = 0.0
    varlena: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """The expected bytes of one stored row, its line pointer included."""

    size: float
    exact: bool
    """Whether every row has just this size, so that whole rows fit a page and a remainder stays empty."""


def null_probability(columns: Iterable[Column]) -> float:
    """That a row holds at least one NULL, were the columns independent."""
    return 1.0 - math.prod(1.0 - column.null_frac for column in columns)


def heap_item(columns: Sequence[Column]) -> Item:
    """One heap row of all `columns`, dropped ones included, in attribute order."""
    bare = _round_up(_HEAP_HEADER)
    with_bitmap = _round_up(_HEAP_HEADER + math.ceil(len(columns) / 8))
    nulls = null_probability(columns)
    header = bare + (with_bitmap - bare) * nulls
    data, exact = _data_size(columns)
    return Item(header + data + LINE_POINTER, exact and (nulls in (0.0, 1.0) or bare == with_bitmap))


def index_item(columns: Sequence[Column]) -> Item:
    """One btree leaf tuple that points at one row."""
    nulls = null_probability(columns)
    header = _INDEX_HEADER + (_INDEX_HEADER_WITH_NULLS - _INDEX_HEADER) * nulls
    data, exact = _data_size(columns)
    return Item(header + data + LINE_POINTER, exact and nulls in (0.0, 1.0))


def _data_size(columns: Iterable[Column]) -> tuple[float, bool]:
    """The expected size of the values, padding included, rounded up; and whether it is always the same.

    Only the offset modulo 8 decides padding, so a row's length is walked as eight cells: the probability of each
    residue and the probability-weighted length that led there.
    """
    chance = [1.0] + [0.0] * (CELL - 1)
    length = [0.0] * CELL
    exact = True
    for column in columns:
        kept = column.null_frac
        if kept >= 1.0:
            continue
        exact = exact and column.width.is_exact and kept == 0.0
        new_chance = [share * kept for share in chance]
        new_length = [share * kept for share in length]
        for residue in range(CELL):
            if chance[residue] <= 0.0:
                continue
            for advance, share, lands_on in _steps(column, residue):
                part = share * (1.0 - kept)
                for landing, landing_share in lands_on:
                    portion = part * landing_share
                    new_chance[landing] += chance[residue] * portion
                    new_length[landing] += (length[residue] + chance[residue] * advance) * portion
        chance, length = new_chance, new_length
    size = sum(length[residue] + chance[residue] * (-residue % CELL) for residue in range(CELL) if chance[residue] > 0)
    return size, exact


_ANYWHERE = tuple((residue, 1 / CELL) for residue in range(CELL))


def _steps(column: Column, residue: int) -> Iterable[tuple[float, float, Sequence[tuple[int, float]]]]:
    """How one present value moves on from `residue`: (bytes with padding, probability, landing residues)."""
    width = column.width
    if not width.sizes:
        padding = _padding(column, width.mean, residue)
        yield padding + width.mean, 1.0, _ANYWHERE
        return
    for size, share in width.sizes:
        advance = size + _padding(column, size, residue)
        yield advance, share, (((residue + advance) % CELL, 1.0),)


def _padding(column: Column, size: float, residue: int) -> int:
    if column.varlena and size <= _SHORT_VARLENA:
        return 0
    return -residue % column.align


def _round_up(size: int) -> int:
    return size + -size % CELL
