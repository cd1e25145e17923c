"""The arithmetic of a budget, by a clock that moves when told to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from dbwatch.budget import LOOK_SECONDS, MOST, WINDOW_SECONDS, Budget, Pace, least_stretches, paces_of
from dbwatch.config import zero_config
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.model import Outcome, Reason, Status

SHARE = 0.005


class World:
    """Checks that run at their pace, stretched as the budget says, and cost what they are told to."""

    def __init__(self, paces: Mapping[str, Pace], share: float | None = SHARE) -> None:
        self.now = 0.0
        self.paces = paces
        self.budget = Budget(share, paces, lambda: self.now)
        self.costs = dict.fromkeys(paces, 0.0)
        self.due = dict.fromkeys(paces, 0.0)
        self.spent = 0.0

    def count(
        self, check: str, seconds: float, status: Status = Status.OK, reason: Reason | None = None
    ) -> Mapping[str, float]:
        return self.budget.count(Outcome("t", check, status, "", reason=reason, database_seconds=seconds))

    def watch(self, seconds: float) -> None:
        until = self.now + seconds
        while (first := min(self.due, key=lambda name: self.due[name])) is not None and self.due[first] <= until:
            self.now = self.due[first]
            self.spent += self.costs[first]
            changed = self.count(first, self.costs[first])
            self.due[first] = self.now + self.interval(first)
            for name in changed:
                self.due[name] = self.now + self.interval(name)
        self.now = until

    def interval(self, check: str) -> float:
        return self.paces[check].interval_seconds * self.budget.stretches.get(check, 1.0)


def minutes(*names: str) -> Mapping[str, Pace]:
    return {name: Pace(60.0, MOST) for name in names}


def test_what_is_within_the_budget_is_left_alone() -> None:
    world = World(minutes("a", "b"))
    world.costs = {"a": 0.14, "b": 0.14}
    world.watch(4 * WINDOW_SECONDS)
    assert world.budget.stretches == {}


def test_a_burst_within_the_hours_budget_is_free() -> None:
    world = World(minutes("a", "b"))
    assert world.count("a", 30.0) == {}, "the first run is that of a server with nothing in memory"
    assert world.count("b", 0.2) == {}
    assert world.count("a", 17.9) == {}
    assert world.count("b", 0.2) == {"a": MOST, "b": 2.0}, "the budget is 18 s an hour; half of it is b's"


def test_the_dearest_gives_most_and_the_cheap_nothing() -> None:
    world = World(minutes("dear", "middle", "cheap"))
    world.costs = {"dear": 3.0, "middle": 0.5, "cheap": 0.01}
    world.watch(WINDOW_SECONDS)
    assert world.budget.stretches["dear"] > world.budget.stretches["middle"] > 1.0
    assert "cheap" not in world.budget.stretches
    world.spent = 0.0
    world.watch(4 * WINDOW_SECONDS)
    assert 0.4 * SHARE < world.spent / (4 * WINDOW_SECONDS) <= SHARE * 1.05


def test_one_slow_run_is_no_price() -> None:
    world = World(minutes("a"))
    world.costs["a"] = 0.1
    world.watch(600)
    assert world.count("a", 40.0) == {}
    world.watch(WINDOW_SECONDS)
    assert world.budget.stretches == {}


def test_one_slow_run_of_two_is_no_price_either() -> None:
    world = World({"hourly": Pace(3600.0, 4.0)})
    assert [world.count("hourly", seconds) for seconds in (0.1, 30.0)] == [{}, {}]


def test_after_a_server_that_hung_nobody_waits_for_long() -> None:
    """What found no answer in time is asked less often, and all of it soon when one of it has an answer again."""
    world = World({"quick": Pace(15.0, 4.0), **minutes("a", "b"), "hourly": Pace(3600.0, 4.0)})
    world.watch(WINDOW_SECONDS)
    for _ in range(5):
        for name in world.paces:
            world.now += 5
            world.count(name, 5.0, Status.UNKNOWN, Reason.TIMEOUT)
    assert world.budget.stretches.keys() == world.paces.keys()
    assert world.budget.stretches["a"] == MOST
    for _ in range(5):
        world.now += LOOK_SECONDS
        world.count("quick", 0.01)
    assert world.budget.stretches == {}


def test_what_never_has_an_answer_in_time_stays_dear() -> None:
    world = World(minutes("a", "b"))
    for _ in range(10):
        world.now += LOOK_SECONDS
        world.count("a", 5.0, Status.UNKNOWN, Reason.TIMEOUT)
        world.count("b", 0.01)
    assert world.budget.stretches == {"a": MOST}


def test_it_recovers_step_by_step_when_the_server_is_quick_again() -> None:
    world = World(minutes("a", "b"))
    world.costs = {"a": 2.0, "b": 0.01}
    world.watch(WINDOW_SECONDS)
    assert world.budget.stretches == {"a": 8.0}
    world.costs["a"] = 0.01
    seen = []
    while world.budget.stretches and world.now < 3 * WINDOW_SECONDS:
        world.watch(15)
        seen.append(world.interval("a"))
    assert [second for first, second in itertools.pairwise(seen) if second != first] == [240.0, 120.0, 60.0]
    world.watch(2 * WINDOW_SECONDS)
    assert world.budget.stretches == {}


def test_a_little_less_is_not_enough_to_go_back() -> None:
    world = World(minutes("a"))
    world.costs["a"] = 0.32
    world.watch(2 * WINDOW_SECONDS)
    assert world.budget.stretches == {"a": 2.0}
    world.costs["a"] = 0.28
    world.watch(2 * WINDOW_SECONDS)
    assert world.budget.stretches == {"a": 2.0}, "0.47 % is within the budget, but not clearly"
    world.costs["a"] = 0.2
    world.watch(WINDOW_SECONDS)
    assert world.budget.stretches == {}


def test_who_could_not_ask_has_learned_no_price() -> None:
    world = World(minutes("a"))
    world.costs["a"] = 2.0
    world.watch(WINDOW_SECONDS)
    held = dict(world.budget.stretches)
    for _ in range(100):
        world.now += LOOK_SECONDS
        assert world.count("a", 0.0, Status.UNKNOWN) == {}
    assert world.budget.stretches == held


def test_who_is_not_asked_at_all_costs_nothing_in_the_end() -> None:
    world = World(minutes("a", "b"))
    world.costs = {"a": 2.0, "b": 0.2}
    world.watch(WINDOW_SECONDS)
    assert set(world.budget.stretches) == {"a", "b"}
    world.budget.pass_over("a")
    world.now += 2 * WINDOW_SECONDS
    for _ in range(5):
        world.now += LOOK_SECONDS
        world.count("b", 0.2)
    assert world.budget.stretches == {}


def test_what_runs_now_and_then_though_nobody_asks_is_paid_for() -> None:
    """As the collectors of a page do that nobody scrapes: their turns go by, but for one every five minutes."""
    world = World({"page": Pace(15.0, MOST), **minutes("dear", "cheap")})
    world.costs = {"page": 1.2, "dear": 0.24, "cheap": 0.001}
    page_ran = -math.inf
    seen = set()
    while world.now < 4 * WINDOW_SECONDS:
        world.now += 15.0
        for name in ("page", "dear", "cheap"):
            if world.due[name] > world.now:
                continue
            if name == "page" and world.now < page_ran + 300:
                world.budget.pass_over(name)
            else:
                page_ran = world.now if name == "page" else page_ran
                world.spent += world.costs[name]
                world.count(name, world.costs[name])
            world.due[name] = world.now + world.interval(name)
        if world.now > 2 * WINDOW_SECONDS:
            seen.add(tuple(world.budget.stretches.items()))
    assert seen == {(("dear", 4.0),)}, "0.4 % is the page's, whoever asks, and 0.1 % is left"


def test_without_a_budget_nothing_is_stretched() -> None:
    world = World(minutes("a"), share=None)
    world.costs["a"] = 30.0
    world.watch(WINDOW_SECONDS)
    assert world.budget.stretches == {}


def test_a_strange_check_is_not_counted() -> None:
    assert World(minutes("a")).count("unreachable", 100.0) == {}


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([1.0, 2.0, 4.0, 16.0])), min_size=1, max_size=30),
    st.floats(0.0001, 0.5),
)
def test_all_together_keep_the_budget_or_have_given_all_they_can(
    given_loads: list[tuple[float, float]], share: float
) -> None:
    loads = {str(number): load for number, (load, _) in enumerate(given_loads)}
    most = {str(number): least for number, (_, least) in enumerate(given_loads)}
    stretches = least_stretches(loads, most, share)
    total = sum(load / stretches[name] for name, load in loads.items())
    even = share / len(loads)
    assert total <= share * 1.001 or all(
        stretches[name] == most[name] or load / stretches[name] <= even * 1.001 for name, load in loads.items()
    )
    assert all(stretches[name] == 1.0 for name, load in loads.items() if load <= even), "the cheap give nothing"
    assert all(1.0 <= stretch <= most[name] for name, stretch in stretches.items())
    for dear in loads:
        for cheap in loads:
            if loads[cheap] <= loads[dear] and most[cheap] <= most[dear]:
                assert stretches[cheap] <= stretches[dear], "the dearer gives at least as much"


def test_how_long_each_may_wait() -> None:
    config = zero_config(["postgresql://h/d"], environ={})
    checks = list(config.catalogue.of(config.targets[0].engine))
    paces = paces_of(config.targets[0], checks)
    left_out = [check.name for check in checks if check.name not in paces]
    assert left_out == [check.name for check in checks if check.probe == CONNECT_PROBE] != []
    assert all(pace.interval_seconds * pace.most <= max(3600.0, 4 * pace.interval_seconds) for pace in paces.values())
    assert paces["blocked_session"] == Pace(15.0, 16.0)
    assert paces["replication_lag"].most == 4.0, "of the profile minimal"
    assert paces["unused_index"] == Pace(3600.0, 4.0)


def test_a_reason_alone_is_not_free() -> None:
    """A run that hit its time limit was paid for."""
    world = World(minutes("a"))
    for _ in range(3):
        world.now += LOOK_SECONDS
        outcome = Outcome("t", "a", Status.UNKNOWN, "", reason=Reason.TIMEOUT, database_seconds=10.0)
        world.budget.count(outcome)
    assert world.budget.stretches == {"a": MOST}
