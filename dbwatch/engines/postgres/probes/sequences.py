"""Owns how far sequences are used up, against their own limit and the columns that their values get into.

A sequence of bigint that feeds an int4 column, or a key that an int4 foreign key refers to, ends where the int4 ends.
Judges nothing. Opening a sequence takes a lock that is held to the end of the transaction, so only so many are opened
in one run: those of a narrow type and the busiest first, in turns where there are more.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dbwatch.engines.postgres.history import History
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import narrow_integers
from dbwatch.engines.postgres.probes.sequences_sql import NEXTVAL_ALONE, SEQUENCES
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

MOST_OPENED = 500
"""Sequences opened in one run: 40 µs each the first time, and a lock of some 6400 that a server has by default."""
_DAY = 86_400.0
_OVER = _DAY
"""A speed is told when a sequence has been watched for a day: nightly work is in it then."""
_WORTH_TELLING = 0.5
_MOST_REMEMBERED = 5_000
_MOST_IN_ROUND = 100_000
"""A round over more begins anew: what is known by number alone takes memory, too."""


@dataclass(slots=True)
class _Round:
    """Going through the sequences of one database in turns: the fullest of the last whole round, and of this one.

    `seen` are those of this round that need no other look in it.
    """

    whole: dict[int, RawRow] = field(default_factory=dict)
    present: dict[int, RawRow] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    is_readable: bool = False
    was_readable: bool = False

    def add(self, rows: Sequence[RawRow], most: int) -> None:
        """One look. It ends the round when it met fewer than it may."""
        self.is_readable = self.is_readable or any(bool(row["readable"]) for row in rows)
        self.seen.update(_oid(row) for row in rows if _number(row["used_ratio"]) < _WORTH_TELLING)
        for row in rows:
            self.whole.pop(_oid(row), None)
        self.present.update({_oid(row): row for row in rows})
        self.present = _fullest(self.present, most)
        if len(rows) < MOST_OPENED or len(self.seen) > _MOST_IN_ROUND:
            self.whole, self.present, self.seen = self.present, {}, set()
            self.was_readable, self.is_readable = self.is_readable, False


def _fullest(rows: Mapping[int, RawRow], most: int) -> dict[int, RawRow]:
    """Those worth telling, as many as are told; without those never used, or starting over by themselves."""
    told = [
        row for row in rows.values() if not row["starts_over"] and not (row["readable"] and row["position"] is None)
    ]
    told.sort(key=lambda row: (-_number(row["used_ratio"]), str(row["schema"]), str(row["sequence"])))
    return {_oid(row): row for row in told[:most]}


class SequenceMemory:
    """What one target's sequences were like, per database."""

    def __init__(self) -> None:
        self.rounds: dict[str, _Round] = {}
        self.history: History[tuple[str, int]] = History(
            span_seconds=7 * _DAY, step_seconds=_DAY / 4, most=_MOST_REMEMBERED
        )


def sequence_exhausted(context: ProbeContext) -> Sequence[RawRow]:
    """One row a sequence, the most used first; those never used, or starting over by themselves, are left out."""
    database = context.facts.database
    memory = context.memory.of(SequenceMemory)
    there = {*context.facts.databases, database}
    memory.rounds = {name: turn for name, turn in memory.rounds.items() if name in there}
    turn = memory.rounds.setdefault(database, _Round())
    found = context.fetch(_sql(turn.seen), limit=MOST_OPENED)
    turn.add(found, context.check.limit)
    if found and not (turn.is_readable or turn.was_readable):
        raise Skipped(
            Reason.PRIVILEGE, "the positions of the sequences are hidden from this role; it needs pg_read_all_data"
        )
    known = _fullest({**turn.whole, **turn.present}, context.check.limit)
    return [_row(database, row, _left_seconds(memory, database, row)) for row in known.values()]


def _sql(leave_out: Iterable[int]) -> str:
    seen = ",".join(str(oid) for oid in leave_out)
    return SEQUENCES.format(
        leave_out=seen,
        most=MOST_OPENED,
        narrow_type=narrow_integers.TYPE,
        last=narrow_integers.LAST,
        nextval_alone=NEXTVAL_ALONE,
    )


def _left_seconds(memory: SequenceMemory, database: str, row: RawRow) -> float | None:
    """Until the last value is given out, at the speed of the last days; None where that is not known or none."""
    if row["calls_left"] is None or _number(row["used_ratio"]) < _WORTH_TELLING / 5:
        return None
    name, now = (database, _oid(row)), time.monotonic()
    left = _number(row["calls_left"])
    memory.history.add(name, -left, now)
    return memory.history.seconds_until(0.0, name, -left, now, _OVER)


def _row(database: str, row: RawRow, left_seconds: float | None) -> RawRow:
    told = ("schema", "sequence", "limit_value", "used_ratio", "calls_left", "position", "bound", "remedy")
    return {"database": database, **{name: row[name] for name in told}, "left_seconds": left_seconds}


def _oid(row: RawRow) -> int:
    return int(_number(row["oid"]))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
