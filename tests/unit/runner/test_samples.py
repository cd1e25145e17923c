"""What is remembered between two runs: counters that start over, and how far back a forecast looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.levels import evaluate, parse_value
from dbwatch.model import Row
from dbwatch.runner.samples import TREND_READINGS, TREND_STEP_SECONDS, Reading, reading, sample
from tests.unit.runner.conftest import make_check

STEP = TREND_STEP_SECONDS


@pytest.fixture
def check(tmp_path: Path) -> Check:
    return make_check(tmp_path, critical="eta(length, 1000) < 1h")


def _row(length: float) -> Row:
    return Row({"queue": "mail"}, {"length": length, "done": 0.0}, {"worker": None}, key="mail")


def _followed(check: Check, *points: tuple[float, float]) -> tuple[Reading | None, list[float | None]]:
    """The last reading and the forecast at each of the points (time, length)."""
    eta = parse_value("eta(length, 1000)", check.language)
    before: Reading | None = None
    forecasts: list[float | None] = []
    for at, length in points:
        value = evaluate(eta, sample(check, _row(length), before, at, lifetime=False))
        forecasts.append(value if isinstance(value, float) else None)
        before = reading(check, [_row(length)], at, before)
    return before, forecasts


def test_a_forecast_needs_two_readings(check: Check) -> None:
    assert _followed(check, (0, 100), (10, 110))[1] == [None, 890.0]


def test_a_forecast_looks_back_beyond_a_bump(check: Check) -> None:
    points = [(number * STEP, 100.0 + number) for number in range(6)]
    _, forecasts = _followed(check, *points, (6 * STEP + 1, 150.0))
    slope = 50 / (6 * STEP + 1)
    assert forecasts[-1] == pytest.approx(850 / slope)


def test_what_fell_in_between_starts_the_forecast_anew(check: Check) -> None:
    _, forecasts = _followed(check, (0, 900), (STEP, 950), (2 * STEP, 10), (3 * STEP, 40))
    assert forecasts[-1] == pytest.approx(960 / (30 / STEP))


def test_what_does_not_grow_has_no_forecast(check: Check) -> None:
    assert _followed(check, (0, 100), (STEP, 100), (2 * STEP, 90))[1] == [None, None, None]


def test_the_memory_is_bounded(check: Check) -> None:
    last, _ = _followed(check, *((number * STEP, float(number)) for number in range(3 * TREND_READINGS)))
    assert last is not None
    assert len(last.older) == TREND_READINGS
    assert all(old.older == () for old in last.older)


def test_a_quick_check_remembers_one_reading_in_five_minutes(check: Check) -> None:
    last, _ = _followed(check, *((number * 15.0, float(number)) for number in range(41)))
    assert last is not None
    assert [old.read_at for old in last.older] == [0.0, STEP]


def test_a_check_without_a_forecast_remembers_one_reading(tmp_path: Path) -> None:
    plain = make_check(tmp_path)
    last, _ = _followed(plain, *((number * STEP, float(number)) for number in range(9)))
    assert last is not None
    assert last.older == ()
