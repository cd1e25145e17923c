"""The schedule: hashed offsets, no pile-up after a clock jump, no overlap, missed runs counted."""

from __future__ import annotations

import datetime
import threading
import time
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch import schedule
from dbwatch.budget import Budget
from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome, Reason, Status
from dbwatch.schedule import HashedInterval, hashed_offset
from dbwatch.unanswered import Unanswered


@given(
    interval=st.floats(0.5, 86_400),
    offset=st.floats(0, 86_400),
    now=st.integers(1_000_000_000, 4_000_000_000),
)
def test_the_next_time_is_after_now_and_within_one_interval(interval: float, offset: float, now: int) -> None:
    moment = datetime.datetime.fromtimestamp(now, tz=datetime.UTC)
    following = HashedInterval(interval, offset).get_next_fire_time(None, moment)
    waited = (following - moment).total_seconds()
    assert 0 < waited <= interval + 1e-3


def test_a_time_that_is_now_after_rounding_is_not_the_next() -> None:
    """APScheduler asks for the next time until it is later than now: the same answer again would hang it."""
    trigger = HashedInterval(1.0, 0.0000004)
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    assert trigger.get_next_fire_time(None, moment) > moment


def test_a_forward_jump_of_sixty_days_enumerates_nothing() -> None:
    trigger = HashedInterval(1.0, 0.25)
    previous = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    later = previous + datetime.timedelta(days=60)
    assert trigger.get_next_fire_time(previous, later) - later <= datetime.timedelta(seconds=1)


def test_a_clock_that_was_set_back_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """APScheduler goes by the wall clock: alone it would wait an hour, and the tick that proves its life with it."""
    behind = 0.0

    class Wall(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Wall:
            return cls.fromtimestamp(real_time() - behind, tz)

    real_time = time.time
    clock = SimpleNamespace(datetime=Wall, timedelta=datetime.timedelta, UTC=datetime.UTC)
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Wall)
    monkeypatch.setattr("apscheduler.executors.base.datetime", Wall)
    monkeypatch.setattr(schedule, "datetime", clock)
    monkeypatch.setattr(schedule, "time", SimpleNamespace(monotonic=time.monotonic, time=lambda: real_time() - behind))
    monkeypatch.setattr(schedule, "TICK_SECONDS", 0.05)
    scheduler = schedule.Scheduler(lambda _target, _check: None)
    scheduler.start([])
    try:
        behind, until = 3600.0, time.monotonic() + 10
        # A tick with the new time, not one that was under way when it changed.
        while scheduler.tick_timestamp_seconds > real_time() - 1800 and time.monotonic() < until:
            time.sleep(0.01)
        assert scheduler.tick_timestamp_seconds < real_time() - 1800
    finally:
        scheduler.stop()


def test_offsets_are_stable_and_spread() -> None:
    offsets = [hashed_offset("orders", f"check_{number}", 60.0) for number in range(300)]
    assert offsets == [hashed_offset("orders", f"check_{number}", 60.0) for number in range(300)]
    assert hashed_offset("orders", "a", 60.0) != hashed_offset("billing", "a", 60.0)
    filled = {int(offset // 6) for offset in offsets}
    assert filled == set(range(10))


def test_threads_do_not_outlive_the_module() -> None:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dbwatch-lane")]


@given(
    number=st.integers(0, 1000),
    interval=st.sampled_from([15.0, 60.0, 3600.0]),
    stretch=st.sampled_from([2.0, 4.0, 16.0]),
)
def test_a_stretched_check_keeps_some_of_its_own_times(number: int, interval: float, stretch: float) -> None:
    """So the collectors of a page stay together, and the targets of a fleet stay spread."""
    target = Target(f"t{number}", Engine.POSTGRES)
    lane = cast("Lane", SimpleNamespace(target=target))
    check = cast("Check", SimpleNamespace(name="c", every=interval, collector=None))
    own, stretched = schedule.trigger_of(lane, check), schedule.trigger_of(lane, check, stretch)
    assert stretched.interval == interval * stretch
    turns = (stretched.offset - own.offset) / interval
    assert turns == pytest.approx(round(turns))
    assert 0 <= round(turns) < stretch


def test_collectors_that_nobody_wants_do_not_run_and_the_slow_ones_come_back_at_once() -> None:
    wanted: list[str] = []
    ran: list[str] = []
    brought: list[str] = []
    collectors = {
        name: SimpleNamespace(every=every) for name, every in (("quick", 15.0), ("also", 15.0), ("slow", 300.0))
    }
    outcome = SimpleNamespace(answered=True, reason=None)

    def run(name: str) -> SimpleNamespace:
        ran.append(name)
        return outcome

    lane = cast(
        "Lane",
        SimpleNamespace(
            target=Target("t", Engine.POSTGRES),
            collectors=collectors,
            wants=lambda name: name in wanted,
            run=run,
        ),
    )
    budget = cast("Budget", SimpleNamespace(count=lambda _outcome: {}, pass_over=lambda _check: None))
    scheduler = schedule.Scheduler(lambda _target, _check: None)
    scheduler._bring_forward = lambda job_id, seconds: brought.append(f"{job_id} {seconds}")  # type: ignore[method-assign]
    for name in collectors:
        scheduler._run(lane, name, budget)
    assert (ran, brought) == ([], [])
    wanted += collectors
    for name in ("quick", "also"):
        scheduler._run(lane, name, budget)
    assert (ran, brought) == (["quick", "also"], ["t:slow 0.0"])


def test_a_run_that_is_rare_may_be_as_late_as_its_turns_are_apart() -> None:
    """Behind a slow server's other checks it would be left out, and its next turn is far."""
    check = cast("Check", SimpleNamespace(name="c", every=60.0, collector=None))
    lane = cast("Lane", SimpleNamespace(target=Target("t", Engine.POSTGRES), checks={"c": check}, collectors={}))
    scheduler = schedule.Scheduler(lambda _target, _check: None)
    scheduler._lanes["t"] = lane
    job = scheduler._scheduler.add_job(print, schedule.trigger_of(lane, check), id="t:c", misfire_grace_time=60)
    graces = []
    for stretch in (16.0, 1.0):
        scheduler._pace(lane, {"c": stretch}, {})
        graces.append((job.misfire_grace_time, job.trigger.interval))
    assert graces == [(960, 960.0), (60, 60.0)]


def scheduled(*names: str) -> tuple[schedule.Scheduler, Lane]:
    """A scheduler, not started, with a lane of such hourly checks, all due in an hour."""
    checks = {
        name: SimpleNamespace(name=name, every=3600.0, collector=None, probe=None, sampled=False) for name in names
    }
    lane = cast("Lane", SimpleNamespace(target=Target("t", Engine.POSTGRES), checks=checks, collectors={}))
    scheduler = schedule.Scheduler(lambda _target, _check: None)
    scheduler._lanes["t"] = lane
    scheduler._unanswered["t"] = Unanswered()
    at = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(hours=1)
    for name, check in checks.items():
        trigger = schedule.trigger_of(lane, cast("Check", check))
        scheduler._scheduler.add_job(print, trigger, id=f"t:{name}", next_run_time=at)
    return scheduler, lane


def due(scheduler: schedule.Scheduler, name: str) -> float:
    """In how many seconds."""
    at = scheduler._scheduler.get_job(f"t:{name}").next_run_time
    return float((at - datetime.datetime.now(tz=datetime.UTC)).total_seconds())


def test_what_found_no_answer_is_asked_once_more_when_the_server_answers() -> None:
    """Not at its own time: it would say for an hour what was true for the seconds of a restart."""
    scheduler, lane = scheduled("lost", "slow", "well", "up")
    cast("dict[str, SimpleNamespace]", lane.checks)["up"].probe = CONNECT_PROBE

    def ran(name: str, status: Status, reason: Reason | None = None) -> None:
        scheduler._ask_again(lane, Outcome("t", name, status, "", reason=reason))

    ran("lost", Status.UNKNOWN, Reason.CONNECTION_LOST)
    ran("slow", Status.UNKNOWN, Reason.TIMEOUT)
    ran("up", Status.CRITICAL)
    assert due(scheduler, "lost") > 3000, "that nobody can connect is an answer of the probe, not of the server"
    ran("well", Status.OK)
    assert max(due(scheduler, "lost"), due(scheduler, "slow")) < 60 < 3000 < due(scheduler, "well")
    ran("lost", Status.OK)
    later = datetime.datetime.now(tz=datetime.UTC) + datetime.timedelta(hours=1)
    scheduler._scheduler.get_job("t:slow").modify(next_run_time=later)
    ran("slow", Status.UNKNOWN, Reason.TIMEOUT)
    ran("well", Status.OK)
    assert due(scheduler, "slow") > 3000, "once is enough, or the dearest would run all the time"
    ran("slow", Status.OK)
    ran("slow", Status.UNKNOWN, Reason.TIMEOUT)
    ran("well", Status.OK)
    assert due(scheduler, "slow") < 60


def test_a_check_that_waits_longer_keeps_the_turn_that_was_brought_forward() -> None:
    """Its second reading would come in an hour, and until then it would say that there is none."""
    scheduler, lane = scheduled("half_seen")
    scheduler._bring_forward("t:half_seen", 10.0)
    scheduler._pace(lane, {"half_seen": 4.0}, {})
    assert due(scheduler, "half_seen") < 11
