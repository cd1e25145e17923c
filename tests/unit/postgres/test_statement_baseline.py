"""What is usual for a statement: steady workloads are never slower than usual, planted regressions are."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import cache

import pytest

from dbwatch.catalogue.loader import load_check
from dbwatch.engines.postgres.statements.baseline import MOST_STATEMENTS, Baselines, Judgement, cause
from dbwatch.engines.postgres.statements.counters import Counters
from dbwatch.engines.postgres.statements.estimate import tail
from dbwatch.engines.postgres.statements.snapshot import Identity
from dbwatch.levels import Sample, holds
from dbwatch.model import Engine
from tests.checks.cases import CHECKS
from tests.unit.postgres.model_statements import spread

ONE = Identity(10, 5, 77)
WINDOW = 60.0
CHECK = load_check(CHECKS / "postgres" / "statement_regression.yaml", Engine.POSTGRES)


def counted(durations: list[float], **more: float) -> Counters:
    calls = float(len(durations))
    per_call = {"rows": calls, "shared_hit": 10 * calls}
    return Counters(calls, math.fsum(durations), spread(durations) ** 2 * calls)._replace(**{**per_call, **more})


def found(judgement: Judgement | None, busy_seconds: float = 60.0) -> bool:
    """Whether the check's own level holds."""
    if judgement is None:
        return False
    values: dict[str, float | str | None] = {
        "slowdown_ratio": judgement.ratio,
        "significance": judgement.significance,
        "slower_windows": judgement.slower_windows,
        "added_seconds_per_minute": judgement.added_seconds_per_minute,
        "added_share": judgement.added_seconds_per_minute * WINDOW / 60 / busy_seconds,
    }
    return any(holds(level, Sample(values)) for level in CHECK.levels.values())


Draw = Callable[[random.Random, int], float]


def _lognormal(sigma: float) -> Draw:
    return lambda numbers, _: numbers.lognormvariate(-5, sigma)


def _wandering(numbers: random.Random, window: int) -> float:
    """A cache that is warm or cold, a load that comes and goes: the mean itself moves by a quarter either way."""
    return numbers.lognormvariate(-5, 0.8) * (1 + 0.25 * math.sin(window / 7))


def _restless(numbers: random.Random, window: int) -> float:
    """Other parameters in every window: its mean is far from that of the last one."""
    return numbers.uniform(0.9, 1.1) * 0.005 * _mood(window)


@cache
def _mood(window: int) -> float:
    return random.Random(window).lognormvariate(0, 0.35)


def _stalls(numbers: random.Random, _: int) -> float:
    """One execution in two hundred waits for a lock for half a second."""
    return numbers.lognormvariate(-6, 0.5) + (0.5 if numbers.random() < 0.005 else 0.0)


def _two_kinds(numbers: random.Random, _: int) -> float:
    """A statement with cheap and dear parameters."""
    return numbers.expovariate(1 / 0.002) if numbers.random() < 0.9 else numbers.expovariate(1 / 0.05)


STEADY: dict[str, Draw] = {
    "even": lambda numbers, _: numbers.uniform(0.004, 0.006),
    "exponential": lambda numbers, _: numbers.expovariate(100),
    "lognormal 0.5": _lognormal(0.5),
    "lognormal 1": _lognormal(1.0),
    "lognormal 1.5": _lognormal(1.5),
    "heavy tail": lambda numbers, _: 0.002 * numbers.paretovariate(2.5),
    "wandering": _wandering,
    "restless": _restless,
    "stalls": _stalls,
    "two kinds": _two_kinds,
    "constant": lambda _, __: 0.003,
}


@pytest.mark.parametrize("kind", STEADY)
def test_a_steady_workload_is_never_slower_than_usual(kind: str) -> None:
    """100 windows of 10 statements of each kind, from 30 executions a window on: not one false finding."""
    numbers = random.Random(kind)
    baselines = Baselines()
    wrong = judged = 0
    for window in range(105):
        for statement in range(10):
            calls = 30 + statement * 60
            durations = [STEADY[kind](numbers, window) for _ in range(calls)]
            judgement = baselines.judge(Identity(1, 1, statement), counted(durations), WINDOW, window * WINDOW)
            judged += judgement is not None
            # The budget is the one thing a test may not lean on: on a large server it is always spent.
            wrong += judgement is not None and judgement.slower
    assert judged >= 990
    assert wrong == 0


@pytest.mark.parametrize("kind", ["even", "exponential", "lognormal 0.5", "lognormal 1", "heavy tail", "wandering"])
def test_a_planted_regression_is_found_in_its_second_window(kind: str) -> None:
    numbers = random.Random(kind)
    baselines = Baselines()
    for window in range(40):
        durations = [STEADY[kind](numbers, window) for _ in range(300)]
        assert not found(baselines.judge(ONE, counted(durations), WINDOW, window * WINDOW))
    slower = [3 * STEADY[kind](numbers, 40) for _ in range(300)]
    assert not found(baselines.judge(ONE, counted(slower), WINDOW, 40 * WINDOW)), "it may be over with the next"
    judgement = baselines.judge(ONE, counted(slower), WINDOW, 41 * WINDOW)
    assert found(judgement)
    assert judgement is not None
    assert judgement.ratio == pytest.approx(3, rel=0.5)
    added = (math.fsum(slower) / 300 - judgement.baseline_mean_seconds) * 300
    assert judgement.added_seconds_per_minute == pytest.approx(added)


def _trained(baselines: Baselines, windows: int, mean: float = 0.01, calls: int = 100) -> None:
    numbers = random.Random(1)
    for window in range(windows):
        durations = [numbers.uniform(0.9, 1.1) * mean for _ in range(calls)]
        baselines.judge(ONE, counted(durations), WINDOW, window * WINDOW)


def _slow(calls: int = 100, mean: float = 0.05) -> Counters:
    return counted([mean * (0.9 + 0.2 * number / calls) for number in range(calls)])


def test_too_little_is_not_judged() -> None:
    baselines = Baselines()
    _trained(baselines, 4)
    assert baselines.judge(ONE, _slow(), WINDOW, 300.0) is None, "a baseline of four windows"
    baselines = Baselines()
    _trained(baselines, 20)
    assert baselines.judge(ONE, _slow(29), WINDOW, 1300.0) is None, "a window of 29 executions"
    assert baselines.judge(Identity(1, 1, 1), _slow(), WINDOW, 1300.0) is None, "another statement"


def test_a_cheap_statement_may_become_slower() -> None:
    baselines = Baselines()
    _trained(baselines, 20, mean=1e-5)
    baselines.judge(ONE, _slow(mean=1e-4), WINDOW, 1240.0)
    judgement = baselines.judge(ONE, _slow(mean=1e-4), WINDOW, 1300.0)
    assert judgement is not None
    assert judgement.slower
    assert not found(judgement), "5 ms a minute are nobody's problem"


def test_on_a_busy_server_a_second_a_minute_is_nothing() -> None:
    baselines = Baselines()
    _trained(baselines, 20)
    baselines.judge(ONE, _slow(), WINDOW, 1240.0)
    judgement = baselines.judge(ONE, _slow(), WINDOW, 1300.0)
    assert found(judgement, busy_seconds=60.0)
    assert not found(judgement, busy_seconds=6000.0)


def test_a_regression_does_not_become_the_baseline_until_it_has_lasted_for_hours() -> None:
    baselines = Baselines()
    _trained(baselines, 20)
    at = 21 * WINDOW
    baselines.judge(ONE, _slow(), WINDOW, at - WINDOW)
    hours_found = 0.0
    for window in range(60 * 12):
        if not found(baselines.judge(ONE, _slow(), WINDOW, at + window * WINDOW)):
            break
        hours_found = window / 60
    assert 5.9 < hours_found < 6.1


def test_a_stall_of_one_window_is_none_and_does_not_count_later() -> None:
    baselines = Baselines()
    _trained(baselines, 20)
    for window in range(20, 30):
        slow = window % 2 == 0
        judgement = baselines.judge(ONE, _slow() if slow else _slow(mean=0.01), WINDOW, window * WINDOW)
        assert judgement is not None
        assert judgement.slower is slow
        assert not found(judgement)


def test_what_is_faster_is_usual_soon() -> None:
    baselines = Baselines()
    _trained(baselines, 20)
    judgement = baselines.judge(ONE, _slow(mean=0.001), WINDOW, 1300.0)
    assert judgement is not None
    assert not judgement.slower


def test_it_is_bounded() -> None:
    baselines = Baselines()
    for number in range(MOST_STATEMENTS + 50):
        baselines.judge(Identity(1, 1, number), _slow(), WINDOW, 1.0)
    assert len(baselines.known) == MOST_STATEMENTS
    assert Identity(1, 1, 0) not in baselines.known


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rows": 5000.0}, "50 rows a call instead of 1"),
        ({"shared_hit": 80_000.0}, "800 blocks a call instead of 10"),
        ({"shared_read": 800.0}, "8 blocks from outside of the cache a call instead of 0"),
        ({"temp_written": 300.0}, "3 temporary blocks a call instead of 0"),
        ({"io_seconds": 4.5}, "reading them takes longer"),
        ({}, "it waits or the machine is slower"),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else "",
)
def test_the_cause_is_what_else_changed(changed: dict[str, float], words: str) -> None:
    baselines = Baselines()
    _trained(baselines, 20)
    judgement = baselines.judge(ONE, _slow()._replace(**changed), WINDOW, 1300.0)
    assert judgement is not None
    assert words in cause(judgement)


# -- percentiles -----------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.25, 0.5, 1.0, 1.25])
def test_the_estimate_is_close_where_times_are_lognormal(sigma: float) -> None:
    numbers = random.Random(11)
    durations = sorted(numbers.lognormvariate(-5, sigma) for _ in range(50_000))
    said = tail(counted(durations))
    assert said.suspected is False
    assert said.p95_estimate_seconds == pytest.approx(durations[47_500], rel=0.1)
    assert said.p99_estimate_seconds == pytest.approx(durations[49_500], rel=0.1)


@pytest.mark.parametrize("kind", STEADY)
def test_the_bound_holds_for_every_distribution(kind: str) -> None:
    numbers = random.Random(kind)
    durations = sorted(STEADY[kind](numbers, 0) for _ in range(5_000))
    said = tail(counted(durations))
    assert said.p95_bound_seconds is not None
    assert said.p95_bound_seconds >= durations[4_750]
    if said.p95_estimate_seconds is not None:
        assert said.p95_estimate_seconds <= said.p95_bound_seconds


def test_rare_stalls_have_no_estimate() -> None:
    said = tail(counted([0.001] * 990 + [1.0] * 10))
    assert said.suspected is True
    assert (said.p95_estimate_seconds, said.p99_estimate_seconds) == (None, None)


def test_few_executions_have_neither() -> None:
    said = tail(counted([0.001] * 99))
    assert (said.p95_estimate_seconds, said.p95_bound_seconds, said.suspected) == (None, None, None)
