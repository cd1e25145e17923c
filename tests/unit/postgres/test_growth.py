"""What the probes of growth remember: sizes of databases, positions of sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import growth, sequences
from dbwatch.errors import Skipped
from dbwatch.levels import Sample, holds
from dbwatch.model import Engine, Facts, RawRow, Role, Status

HOUR = 3600.0
CHECKS = Path(__file__).resolve().parents[3] / "checks" / "postgres"
Answer = Callable[[str], Sequence[RawRow]]


@cache
def check(name: str) -> Check:
    return load_check(CHECKS / f"{name}.yaml", Engine.POSTGRES)


def context(name: str, memory: Memory, answer: Answer) -> ProbeContext:
    def fetch(sql: str, *, limit: int) -> Sequence[RawRow]:
        return answer(sql)[:limit]

    def attempt(sql: str, *, limit: int, seconds: float) -> Sequence[RawRow]:
        raise AssertionError("these probes try nothing that may be refused")

    facts = Facts(Engine.POSTGRES, (17, 2), "17.2", Role.PRIMARY, "postgresql", database="shop")
    return ProbeContext(
        fetch=fetch,
        attempt=attempt,
        remaining=lambda: 10.0,
        facts=facts,
        check=check(name),
        target=Target("shop", Engine.POSTGRES),
        memory=memory,
        cluster=None,
    )


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        for module in (growth, sequences):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def always(rows: Sequence[RawRow]) -> Answer:
    return lambda _: rows


def grown(clock: Clock, size_at: Callable[[float], float], hours: int) -> RawRow:
    memory = Memory()
    row: RawRow = {}
    for hour in range(hours + 1):
        clock.now = hour * HOUR
        there = [{"database": "shop", "size_bytes": size_at(hour)}]
        (row,) = growth.database_growth(context("database_growth", memory, always(there)))
    return row


def test_steady_growth_is_known_after_three_days(clock: Clock) -> None:
    assert grown(clock, lambda hour: 1000 + hour, 71)["doubling_seconds"] is None
    row = grown(clock, lambda hour: 1000 + hour, 76)
    assert row["growth_bytes_per_day"] == pytest.approx(24)
    assert row["doubling_seconds"] == pytest.approx(1076 * HOUR)


def looked(clock: Clock, size_at: Callable[[float], float], hours: int, *, every: float = 1.0) -> list[Status]:
    """The verdict of every look, with sizes in GiB."""
    memory = Memory()
    found_at: list[Status] = []
    for step in range(int(hours / every) + 1):
        hour = step * every
        clock.now = hour * HOUR
        there = [{"database": "shop", "size_bytes": size_at(hour) * 2.0**30}]
        (row,) = growth.database_growth(context("database_growth", memory, always(there)))
        doubling = row["doubling_seconds"]
        found_at.append(
            found(
                "database_growth",
                size_bytes=float(str(row["size_bytes"])),
                doubling_seconds=None if doubling is None else float(str(doubling)),
            )
        )
    return found_at


def load(begin: float, hours: float, before: float, after: float) -> Callable[[float], float]:
    return lambda hour: before + (after - before) * min(1.0, max(0.0, (hour - begin) / hours))


@pytest.mark.parametrize("begin", [75.0, 90.3, 100.9])
@pytest.mark.parametrize(
    ("hours", "before", "after"), [(1, 50, 90), (1, 0.1, 500), (7, 50, 90), (20, 10, 100), (24, 0.01, 900)]
)
def test_a_single_load_is_never_found(clock: Clock, begin: float, hours: float, before: float, after: float) -> None:
    assert set(looked(clock, load(begin, hours, before, after), 200)) == {Status.OK}


def test_a_load_while_nobody_could_look_is_never_found(clock: Clock) -> None:
    memory = Memory()
    for hour in (*range(80), *range(110, 200)):
        clock.now = hour * HOUR
        there = [{"database": "shop", "size_bytes": 50.0 if hour < 100 else 90.0}]
        (row,) = growth.database_growth(context("database_growth", memory, always(there)))
        assert row["doubling_seconds"] is None


def test_what_is_emptied_and_filled_every_night_does_not_grow(clock: Clock) -> None:
    assert set(looked(clock, lambda hour: 50 if hour % 24 >= 2 else 10 + 20 * (hour % 24), 300)) == {Status.OK}


def test_a_load_beside_steady_growth_leaves_the_steady_growth(clock: Clock) -> None:
    row = grown(clock, lambda hour: 1000 + hour + (400 if hour > 60 else 0), 80)
    assert row["growth_bytes_per_day"] == pytest.approx(24)


def test_growth_on_every_day_is_found_whenever_it_comes(clock: Clock) -> None:
    def nightly(hour: float) -> float:
        return 50 + 40 * sum(hour >= night * 24 + (0, 0.5, 1.5)[night % 3] for night in range(9))

    assert set(looked(clock, lambda hour: 50 + hour, 100)[75:]) == {Status.WARNING}
    assert set(looked(clock, nightly, 100)[75:]) == {Status.WARNING}
    assert set(looked(clock, lambda hour: 50 + 0.2 * hour, 120)) == {Status.OK}


def test_a_shrinking_database_does_not_double(clock: Clock) -> None:
    assert grown(clock, lambda hour: 1000 - hour, 80)["doubling_seconds"] is None


def sequence(oid: int, used: float, *, readable: bool = True, left: float = 100.0) -> RawRow:
    return {
        "oid": oid,
        "schema": "public",
        "sequence": f"s{oid}",
        "readable": readable,
        "starts_over": False,
        "limit_value": 1000.0,
        "position": 1000.0 - left if readable else None,
        "used_ratio": used if readable else None,
        "calls_left": left if readable else None,
        "bound": "its own limit",
        "remedy": "",
    }


def test_the_time_left_is_told_after_a_day(clock: Clock) -> None:
    memory = Memory()
    left: list[object] = []
    for hour in range(31):
        clock.now = hour * HOUR
        asked = context("sequence_exhausted", memory, always([sequence(1, 0.6, left=400.0 - hour)]))
        (row,) = sequences.sequence_exhausted(asked)
        left.append(row["left_seconds"])
    assert left[20] is None
    assert left[30] == pytest.approx(370 * HOUR)


def test_more_sequences_than_may_be_opened_are_taken_in_turns(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "MOST_OPENED", 2)
    there = {oid: sequence(oid, 0.9 if oid == 1 else 0.1) for oid in range(1, 6)}
    asked: list[set[int]] = []

    def answer(sql: str) -> Sequence[RawRow]:
        left_out = sql.split("unnest('{")[1].split("}")[0]
        gone = {int(oid) for oid in left_out.split(",") if oid}
        asked.append(gone)
        return [row for oid, row in there.items() if oid not in gone]

    memory = Memory()
    seen = [
        {row["sequence"] for row in sequences.sequence_exhausted(context("sequence_exhausted", memory, answer))}
        for _ in range(5)
    ]
    assert asked[:4] == [set(), {2}, {2, 3}, {2, 3, 4}], "the one nearly used up is looked at every time"
    assert seen[3] == {"s1", "s2", "s3", "s4", "s5"}
    del there[5]
    for _ in range(10):
        rows = sequences.sequence_exhausted(context("sequence_exhausted", memory, answer))
    assert {row["sequence"] for row in rows} == {"s1", "s2", "s3", "s4"}, "what was dropped is forgotten"


def test_what_is_kept_of_many_sequences_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "MOST_OPENED", 500)
    monkeypatch.setattr(sequences, "_MOST_IN_ROUND", 2000)

    def answer(sql: str) -> Sequence[RawRow]:
        gone = {int(oid) for oid in sql.split("unnest('{")[1].split("}")[0].split(",") if oid}
        there = (sequence(oid, 0.8 if oid == 1700 else 0.1) for oid in range(1, 10_000))
        return [row for row in there if row["oid"] not in gone][:500]

    memory = Memory()
    for _ in range(12):
        rows = sequences.sequence_exhausted(context("sequence_exhausted", memory, answer))
    assert rows[0]["sequence"] == "s1700"
    kept = memory.of(sequences.SequenceMemory).rounds
    most = check("sequence_exhausted").limit
    assert all(
        len(turn.whole) <= most and len(turn.present) <= most and len(turn.seen) < 3000 for turn in kept.values()
    )


def test_all_hidden_is_no_answer_and_some_hidden_are_unknown(clock: Clock) -> None:
    hidden = sequence(1, 0.0, readable=False)
    with pytest.raises(Skipped, match="pg_read_all_data"):
        sequences.sequence_exhausted(context("sequence_exhausted", Memory(), always([hidden])))
    rows = sequences.sequence_exhausted(context("sequence_exhausted", Memory(), always([hidden, sequence(2, 0.8)])))
    assert [row["used_ratio"] for row in rows] == [0.8, None]


def found(name: str, **values: float | None) -> Status:
    levels = check(name).levels
    return next((status for status, level in levels.items() if holds(level, Sample(values))), Status.OK)


def test_a_database_that_keeps_doubling_is_found_by_default() -> None:
    gib, day = 2.0**30, 24 * HOUR
    assert found("database_growth", size_bytes=11 * gib, doubling_seconds=6 * day) is Status.WARNING
    assert found("database_growth", size_bytes=9 * gib, doubling_seconds=6 * day) is Status.OK
    assert found("database_growth", size_bytes=11 * gib, doubling_seconds=8 * day) is Status.OK
    assert found("database_growth", size_bytes=900 * gib, doubling_seconds=None) is Status.OK


def test_a_fast_sequence_is_found_before_it_is_full() -> None:
    day = 24 * HOUR
    assert found("sequence_exhausted", used_ratio=0.55, left_seconds=13 * day) is Status.CRITICAL
    assert found("sequence_exhausted", used_ratio=0.55, left_seconds=89 * day) is Status.WARNING
    assert found("sequence_exhausted", used_ratio=0.55, left_seconds=100 * day) is Status.OK
    assert found("sequence_exhausted", used_ratio=0.45, left_seconds=day) is Status.OK
    assert found("sequence_exhausted", used_ratio=0.74, left_seconds=None) is Status.OK


def test_a_key_without_a_sequence_is_found_by_its_speed() -> None:
    dense = {"density_ratio": 0.5, "correlation": 0.99}
    assert found("integer_key_exhausted", **dense, used_ratio=0.6, left_seconds=80 * 24 * HOUR) is Status.WARNING
    assert found("integer_key_exhausted", **dense, used_ratio=0.6, left_seconds=None) is Status.OK
    assert found("integer_key_exhausted", density_ratio=0.5, correlation=0.1, used_ratio=0.99) is Status.OK


@pytest.mark.parametrize("name", ["table_bloat", "index_bloat", "toast_bloat"])
def test_bloat_is_found_from_a_third_and_a_gibibyte_on(name: str) -> None:
    gib = 2.0**30
    assert found(name, bloat_ratio=0.3, bloat_bytes=gib) is Status.WARNING
    assert found(name, bloat_ratio=0.29, bloat_bytes=9 * gib) is Status.OK
    assert found(name, bloat_ratio=0.9, bloat_bytes=gib - 1) is Status.OK
    assert found(name, bloat_ratio=None, bloat_bytes=None) is Status.OK
