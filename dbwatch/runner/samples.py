"""Owns the memory between two runs of a check: what was read last, and when. Used by one lane's thread only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Use
from dbwatch.levels import Earlier, Sample
from dbwatch.model import Row

TREND_STEP_SECONDS: Final = 300.0
TREND_READINGS: Final = 12
"""A forecast looks back over that many readings, so far apart or farther: an hour, or twelve runs of a slow check."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The numbers of one run by row key, bounded by the check's row limit; `older` ones of a check that forecasts."""

    values: Mapping[str, Mapping[str, float | None]]
    read_at: float
    older: tuple[Reading, ...] = ()


def reading(check: Check, rows: Sequence[Row], read_at: float, before: Reading | None = None) -> Reading:
    """What the next run needs to know of this one."""
    older: tuple[Reading, ...] = ()
    if check.forecasts and before is not None:
        older = before.older
        if not older or before.read_at - older[-1].read_at >= TREND_STEP_SECONDS:
            older = (*older, Reading(before.values, before.read_at))[-TREND_READINGS:]
    return Reading({row.key: row.values for row in rows}, read_at, older)


def sample(check: Check, row: Row, before: Reading | None, read_at: float, *, lifetime: bool) -> Sample:
    """What the level language sees of a row: its values, and those of the previous reading.

    When the check names a `resets` column, it moved and a number fell, all started over: the previous reading is zero.
    Where none fell it was perhaps another's reset: PostgreSQL dates that of a single table on the whole database.
    With `lifetime` the previous reading is zero at an unknown time: deltas are totals, rates are unknown.
    """
    values: dict[str, float | str | None] = {**row.labels, **row.values, **row.details}
    zero: dict[str, float | None] = dict.fromkeys(row.values, 0.0)
    if lifetime:
        return Sample(values, zero, None)
    if before is None:
        return Sample(values, None, None)
    elapsed = read_at - before.read_at
    previous = before.values.get(row.key)
    if previous is None:
        return Sample(values, None, elapsed)
    moved = check.resets is not None and previous.get(check.resets) != row.values.get(check.resets)
    if moved and _fell(check, previous, row.values):
        return Sample(values, zero, elapsed)
    earlier = tuple(
        Earlier(old.values[row.key], read_at - old.read_at) for old in before.older if row.key in old.values
    )
    return Sample(values, previous, elapsed, earlier)


def _fell(check: Check, before: Mapping[str, float | None], now: Mapping[str, float | None]) -> bool:
    for name, column in check.columns.items():
        then, value = before.get(name), now.get(name)
        if name == check.resets or column.use not in (Use.COUNTER, Use.DETAIL):
            continue
        if then is not None and (value is None or value < then):
            return True
    return False
