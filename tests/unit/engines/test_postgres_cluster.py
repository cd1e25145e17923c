"""What the watched nodes of a cluster tell each other: the LSN clock, tellings that age, memories by kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import MOST_POINTS, TAKEOVER_SECONDS, Cluster, Clusters, LsnClock, Window


@dataclass(frozen=True, slots=True)
class _Scans:
    count: int


@dataclass(slots=True)
class _Seen:
    names: set[str] = field(default_factory=set)


def _clock(*ticks: tuple[int, float]) -> LsnClock:
    clock = LsnClock()
    for lsn, at in ticks:
        clock.tick("a", lsn, at)
    return clock


def test_a_position_was_passed_between_two_looks() -> None:
    clock = _clock((100, 1.0), (100, 5.0), (200, 6.0), (300, 9.0))
    assert clock.last == (300, 9.0)
    assert clock.passed(100) == Window(5.0, 6.0)
    assert clock.passed(150) == Window(5.0, 6.0)
    assert clock.passed(200) == Window(6.0, 9.0)


def test_what_was_before_our_time_and_what_has_not_happened() -> None:
    clock = _clock((100, 1.0), (200, 6.0))
    assert clock.passed(50) == Window(None, 1.0)
    assert clock.passed(200) == Window(6.0, None)
    assert clock.passed(999) == Window(6.0, None)
    assert LsnClock().passed(1) is None
    assert LsnClock().last is None


def test_a_step_back_starts_anew() -> None:
    clock = _clock((100, 1.0), (200, 2.0), (150, 3.0))
    assert clock.passed(100) == Window(None, 3.0)


def test_one_node_is_followed_until_it_falls_silent() -> None:
    clock = _clock((100, 1.0))
    clock.tick("b", 9999, 2.0)
    assert clock.last == (100, 1.0)
    clock.tick("b", 500, 1.0 + TAKEOVER_SECONDS)
    assert clock.last == (500, 1.0 + TAKEOVER_SECONDS)
    assert clock.passed(100) == Window(None, 1.0 + TAKEOVER_SECONDS)


def test_the_clock_is_bounded_and_keeps_the_newest() -> None:
    clock = _clock(*((number, float(number)) for number in range(3 * MOST_POINTS)))
    newest = 3 * MOST_POINTS - 1
    assert clock.last == (newest, float(newest))
    assert clock.passed(newest - 100) == Window(float(newest - 100), float(newest - 99))
    assert clock.passed(0) != Window(0.0, 1.0)


def test_tellings_are_by_class_and_target_and_age() -> None:
    now = [0.0]
    cluster = Cluster(lambda: now[0])
    cluster.tell("a", _Scans(1))
    now[0] = 10.0
    cluster.tell("b", _Scans(2))
    cluster.tell("b", _Scans(3))
    told = cluster.told(_Scans, within_seconds=60)
    assert {name: each.value.count for name, each in told.items()} == {"a": 1, "b": 3}
    assert set(cluster.told(_Scans, within_seconds=5)) == {"b"}
    assert cluster.told(_Seen, within_seconds=60) == {}


def test_a_cluster_is_known_by_its_identifier_only() -> None:
    clusters = Clusters()
    assert clusters.of("7") is clusters.of("7")
    assert clusters.of("7") is not clusters.of("8")
    assert clusters.of(None) is None


def test_a_memory_keeps_one_object_of_each_kind() -> None:
    memory = Memory()
    memory.of(_Seen).names.add("orders")
    assert memory.of(_Seen).names == {"orders"}
    assert Memory().of(_Seen).names == set()
