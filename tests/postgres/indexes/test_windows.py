"""Since when nothing can have scanned an index: its date by transaction ids, and what several nodes say together."""

from __future__ import annotations

from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.engines.postgres.indexes.nodes import Scanned, StandbyNotes, StandbyUse, elsewhere
from dbwatch.engines.postgres.indexes.sightings import Sightings

HOUR = 3600.0


def hourly(count: int) -> Sightings:
    """Transaction 100 was the oldest at the start, 100 more an hour."""
    sightings = Sightings()
    for hour in range(count):
        sightings.saw(100 + 100 * hour, hour * HOUR)
    return sightings


def test_what_was_there_before_us_has_no_date() -> None:
    assert hourly(5).written_by(99, 10 * HOUR) is None
    assert Sightings().written_by(99, 10 * HOUR) is None


def test_what_came_since_is_dated_by_the_first_look_after_it() -> None:
    sightings = hourly(5)
    assert sightings.written_by(100, 10 * HOUR) == 1 * HOUR
    assert sightings.written_by(199, 10 * HOUR) == 1 * HOUR
    assert sightings.written_by(200, 10 * HOUR) == 2 * HOUR
    assert sightings.written_by(499, 10 * HOUR) == 4 * HOUR
    # Not ended at our last look, so as young as can be.
    assert sightings.written_by(500, 10 * HOUR) == 10 * HOUR


def test_looks_in_quick_succession_are_one() -> None:
    sightings = Sightings()
    for second in range(1000):
        sightings.saw(second, float(second))
    assert len(sightings.times) == 2


def test_the_memory_is_bounded_and_never_makes_anything_older() -> None:
    count = 10_000
    sightings = hourly(count)
    assert len(sightings.times) <= 2048
    assert sightings.written_by(99, count * HOUR) is None
    for hour in (1, 17, 2500, 7777, count - 2):
        dated = sightings.written_by(100 + 100 * hour - 1, count * HOUR)
        assert dated is not None
        assert dated >= hour * HOUR


def test_a_clock_or_ids_that_step_back_start_anew() -> None:
    for step in ((50, 100 * HOUR), (10_000, 1 * HOUR)):
        sightings = hourly(5)
        sightings.saw(*step)
        assert (sightings.xids, sightings.times) == ([step[0]], [step[1]])


def told(*scanned: Scanned, feeds: int = 0) -> Cluster:
    cluster = Cluster()
    for number, one in enumerate(scanned):
        cluster.tell(f"standby{number}", StandbyUse({"shop": one}, feeds))
    return cluster


def ask(cluster: Cluster | None, *, database: str = "shop", feeds: int = 0, expected: int = 0) -> tuple[int, int, str]:
    others = elsewhere(cluster, database, feeds=feeds, expected=expected, within_seconds=60)
    return others.watched, others.unseen, others.words


def test_which_nodes_the_words_speak_of() -> None:
    one = Scanned(0.0, {}, complete=True)
    assert ask(None) == (0, 0, "")
    assert ask(None, feeds=2) == (0, 2, ", beside 2 standbys whose scans are not seen")
    assert ask(None, expected=1) == (0, 1, ", beside 1 standby whose scans are not seen")
    assert ask(told(one), feeds=1) == (1, 0, " here and on 1 standby")
    assert ask(told(one, one), feeds=3) == (
        2,
        1,
        " here and on 2 standbys, beside 1 more standby whose scans are not seen",
    )
    # One that the standby feeds is known through it.
    assert ask(told(one, feeds=1), feeds=1)[1] == 1
    # Another database of it, or more indexes than it could carry: not seen.
    assert ask(told(one), database="other", feeds=1)[:2] == (0, 1)
    assert ask(told(Scanned(0.0, {}, complete=False)), feeds=1)[:2] == (0, 1)


def test_the_latest_scan_and_the_youngest_counters_count() -> None:
    first = Scanned(100.0, {1: 50.0, 2: None, 3: 10.0}, complete=True)
    second = Scanned(200.0, {1: 60.0, 2: 70.0}, complete=True)
    others = elsewhere(told(first, second), "shop", feeds=2, expected=0, within_seconds=60)
    assert others.since_seconds == 200.0
    assert others.last_scans == {1: 60.0, 2: None, 3: 10.0}


def test_a_standby_forgets_databases_that_are_gone() -> None:
    notes = StandbyNotes()
    scanned = Scanned(0.0, {}, complete=True)
    notes.noted("a", scanned, ["a", "b"], 0)
    assert set(notes.noted("b", scanned, ["a", "b"], 0).databases) == {"a", "b"}
    assert set(notes.noted("b", scanned, ["b"], 0).databases) == {"b"}
