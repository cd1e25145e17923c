"""Speeds out of remembered values."""

from __future__ import annotations

import pytest

from dbwatch.engines.postgres.history import History

HOUR = 3600.0
DAY = 24 * HOUR


def watched(hours: int, per_hour: float = 10.0) -> History[str]:
    history: History[str] = History(span_seconds=7 * DAY, step_seconds=6 * HOUR, most=3)
    for hour in range(hours + 1):
        history.add("a", hour * per_hour, hour * HOUR)
    return history


def test_a_speed_needs_a_stretch_that_is_long_enough() -> None:
    assert watched(20).speed("a", 200.0, 20 * HOUR, DAY) is None
    assert watched(30).speed("a", 300.0, 30 * HOUR, DAY) == pytest.approx(10 / HOUR)
    assert watched(30).speed("b", 300.0, 30 * HOUR, DAY) is None


def test_a_burst_in_the_last_hour_is_spread_over_the_stretch() -> None:
    history = watched(48, per_hour=0.0)
    assert history.speed("a", 2400.0, 48 * HOUR, DAY) == pytest.approx(2400 / DAY)


def test_what_fell_began_anew() -> None:
    history = watched(48)
    history.add("a", 5.0, 49 * HOUR)
    assert history.speed("a", 5.0, 49 * HOUR, DAY) is None
    assert history.speed("a", 29.0, 73 * HOUR, DAY) == pytest.approx(1 / HOUR)


def test_points_and_names_are_bounded() -> None:
    history = watched(24 * 60)
    assert len(history._points["a"]) <= 7 * 4 + 2
    for name in "bcde":
        history.add(name, 1.0, 24 * 60 * HOUR)
    assert set(history._points) == {"c", "d", "e"}


def test_a_size_may_fall_without_beginning_anew() -> None:
    history: History[str] = History(span_seconds=7 * DAY, step_seconds=HOUR, most=3, only_grows=False)
    for hour, value in enumerate([100.0, 40.0, 70.0]):
        history.add("a", value, hour * HOUR)
    assert history.speed("a", 88.0, 24 * HOUR, DAY) == pytest.approx(-12 / DAY)
