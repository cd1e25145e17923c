"""Owns a made-up day of a server with thousands of tables, and how often the few that have series change on it.

Every five minutes the sizes have drifted a little, and the writes and reads of five minutes are counted: most of them
on tables that are busy at that hour, some on one that is read as a whole. `python -m tests.bench.churn` notes the day.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dbwatch.engines.postgres.probes.detail import ORDERS, DetailMemory
from tests.bench.notes import write

TABLES, ROOM, LOOKS = 2_000, 50, 288
Places: TypeAlias = Mapping[int, int]


@dataclass(slots=True)
class Table:
    """`written` and `read` are what was counted since the counters started; `lately` in the last five minutes."""

    pages: float
    write_rate: float
    read_rate: float
    busy_hour: float
    written: float = 0.0
    read: float = 0.0
    lately: float = 0.0


def day(seed: int = 1) -> Iterator[Sequence[Table]]:
    """The tables at each look."""
    chance = random.Random(seed)
    tables = [
        Table(
            chance.lognormvariate(6, 2.5),
            chance.lognormvariate(1, 2.5),
            chance.lognormvariate(3, 2.5),
            chance.uniform(0, 24),
        )
        for _ in range(TABLES)
    ]
    for table in tables:
        age = chance.uniform(1, 365) * LOOKS
        table.written, table.read = table.write_rate * age, table.read_rate * age
    for look in range(LOOKS):
        hour = look * 24 / LOOKS
        for table in tables:
            apart = min(abs(hour - table.busy_hour), 24 - abs(hour - table.busy_hour))
            busy = math.exp(-apart) * chance.expovariate(1.0) * 5
            table.pages *= chance.lognormvariate(0.0005, 0.01)
            table.lately = (table.write_rate + table.read_rate) * busy
            table.written += table.write_rate * busy
            table.read += table.read_rate * busy
        swept = chance.choice(tables)
        swept.read += swept.pages * 100
        swept.lately += swept.pages * 100
        yield tables


def best_places(tables: Sequence[Table]) -> Places:
    """By size, by writes, by reads, whichever is best: as the probe asks the server."""
    place: dict[int, int] = {}
    for by in _ORDERS:
        for at, number in enumerate(sorted(range(len(tables)), key=lambda n, by=by: -by(tables[n])), start=1):  # type: ignore[misc]
            place[number] = min(at, place.get(number, at))
    return place


_ORDERS: Sequence[Callable[[Table], float]] = (
    lambda table: table.pages,
    lambda table: table.written,
    lambda table: table.read,
)


def changes_of_a_day(seed: int = 1) -> Mapping[str, float]:
    """How many rows began in a day: of the first by the last five minutes, of the first by the totals, and of ours."""
    few = DetailMemory().of("tables", "town", ROOM, ("town",))
    each = ROOM // ORDERS
    named: dict[str, set[int]] = {}
    begun = {"by_the_last_minutes": 0, "by_the_totals": 0, "ours": 0}
    for tables in day(seed):
        place = best_places(tables)
        few.choose(place)
        busiest = sorted(range(len(tables)), key=lambda number: -tables[number].lately)
        now = {
            "by_the_last_minutes": set(busiest[:ROOM]),
            "by_the_totals": {number for number, at in place.items() if at <= each},
            "ours": set(few.members),
        }
        for kind, members in now.items():
            begun[kind] += len(members - named.get(kind, members))
        named = now
    return {**begun, "rows": float(len(named["ours"])), "rows_by_the_totals": float(len(named["by_the_totals"]))}


def main() -> None:
    """Note the day; docs/performance.md is written from it."""
    write("churn", "day", changes_of_a_day())


if __name__ == "__main__":
    main()
