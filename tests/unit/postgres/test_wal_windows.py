"""What is remembered of log and checkpoints: an hour, and nothing across a step back."""

from __future__ import annotations

import pytest

from dbwatch.engines.postgres.probes.checkpoints import CheckpointHour, Reading, Window, suggested_bytes
from dbwatch.engines.postgres.probes.wal import WalMeter

MIB = 1024.0**2
GIB = 1024.0**3


def test_log_is_counted_forward_only() -> None:
    meter = WalMeter()
    assert meter.advance("a", 3e12) == 0
    assert meter.advance("a", 3e12 + 500) == 500
    assert meter.advance("a", None) is None
    assert meter.advance("a", 3e12 + 700) == 700
    assert meter.advance("a", 2e12) == 700, "a promotion steps back"
    assert meter.advance("a", 2e12 + 1) == 701
    assert meter.advance("b", 9e12) == 701, "another server has written nothing of ours"
    assert meter.advance("b", 9e12 + 9) == 710


def _reading(at: float, position: float, timed: float, requested: float, done: float | None = None) -> Reading:
    return Reading(at, position, timed, requested, done)


def test_the_window_is_the_last_hour() -> None:
    hour = CheckpointHour()
    assert hour.add(_reading(0, 1000, 10, 5)) == Window(0, 0, 0, 0)
    assert hour.add(_reading(60, 1500, 10, 6)) == Window(60, 0, 1, 500)
    assert hour.add(_reading(3600, 9000, 15, 9)) == Window(3600, 5, 4, 8000)
    assert hour.add(_reading(3661, 9500, 15, 10)) == Window(61, 0, 1, 500)


@pytest.mark.parametrize("back", [_reading(60, 900, 10, 5), _reading(60, 2000, 0, 5), _reading(60, 2000, 11, 0)])
def test_a_step_back_begins_anew(back: Reading) -> None:
    hour = CheckpointHour()
    hour.add(_reading(0, 1000, 10, 5))
    assert hour.add(back) == Window(0, 0, 0, 0)
    assert hour.add(_reading(120, 3000, 12, 6)).seconds == 60


def test_skipped_checkpoints_are_no_checkpoints_where_the_server_counts_the_done() -> None:
    hour = CheckpointHour()
    hour.add(_reading(0, 0, 100, 10, 60))
    assert hour.add(_reading(600, 100, 112, 16, 66)) == Window(600, 0, 6, 100)
    assert hour.add(_reading(660, 100, 113, 17, 67)).timed == 0


def test_the_memory_is_bounded() -> None:
    hour = CheckpointHour()
    for second in range(3000):
        window = hour.add(_reading(second, second, 0, second))
    assert window.requested < 400


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        # 60 GiB an hour are 5 GiB in five minutes; a checkpoint starts at 1 / 1.9 of max_wal_size.
        (Window(3600, 0, 60, 60 * GIB), 10 * GIB),
        # Never less than twice what did not do.
        (Window(3600, 0, 6, 6 * GIB), 2 * GIB),
        # A minute is not taken for five.
        (Window(60, 0, 6, 6 * GIB), 12 * GIB),
    ],
)
def test_the_suggestion_holds_the_log_of_one_timeout(window: Window, expected: float) -> None:
    assert suggested_bytes(window, GIB, 300, 0.9) == expected


def test_small_suggestions_are_in_steps_of_64_mib() -> None:
    assert suggested_bytes(Window(60, 0, 6, 100 * MIB), 32 * MIB, 300, 0.9) == 192 * MIB
