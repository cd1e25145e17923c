"""A lane keeps one session, backs off, and tells the store at once when its server is gone."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dbwatch import lanes
from dbwatch.backoff import Backoff
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.errors import ConnectionLost, TargetError
from dbwatch.lanes import Lane
from dbwatch.model import RawRow, Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.unit.runner.conftest import FakeAdapter, FakeSession, make_check, row

REFUSED = TargetError(Reason.REFUSED, "connect", "Connection refused")


def test_one_session_serves_all_runs(tmp_path: Path, target: Target, watchdog: Watchdog) -> None:
    adapter = FakeAdapter([FakeSession([[row()], [row()]])])
    store = Store()
    lane = Lane(target, adapter, [make_check(tmp_path)], store, watchdog)
    assert lane.run("long_queue").reason is Reason.NO_BASELINE
    assert lane.run("long_queue").status is Status.OK
    assert adapter.connects == 1
    assert store.state("orders").up is True


def test_an_unreachable_server_is_unknown_and_asked_with_backoff(
    tmp_path: Path, target: Target, watchdog: Watchdog
) -> None:
    adapter = FakeAdapter([REFUSED])
    store = Store()
    lane = Lane(target, adapter, [make_check(tmp_path)], store, watchdog)
    for _ in range(5):
        outcome = lane.run("long_queue")
        assert (outcome.status, outcome.reason, outcome.step) == (Status.UNKNOWN, Reason.REFUSED, "connect")
    assert adapter.connects == 1, "the others wait for the backoff"
    assert store.state("orders").up is False
    assert store.views()[0].status is Status.UNKNOWN


def test_a_lost_session_is_reported_at_once_and_renewed_at_the_next_run(
    tmp_path: Path, target: Target, watchdog: Watchdog
) -> None:
    dying = FakeSession([[row()], ConnectionLost(Reason.CONNECTION_LOST, "terminated")])

    def measure_and_die(*args: object) -> object:
        try:
            return FakeSession.measure(dying, *args)  # type: ignore[arg-type]  # passes the caller's arguments on
        except ConnectionLost:
            dying.closed = True
            raise

    dying.measure = measure_and_die  # type: ignore[method-assign,assignment]  # the session dies in its second run
    adapter = FakeAdapter([dying, FakeSession([[row()]])])
    store = Store()
    lane = Lane(target, adapter, [make_check(tmp_path)], store, watchdog)
    lane.run("long_queue")
    assert lane.run("long_queue").reason is Reason.CONNECTION_LOST
    assert store.state("orders").up is False
    assert lane.run("long_queue").status is Status.OK
    assert store.state("orders").up is True


def test_sessions_are_recycled_by_age(
    tmp_path: Path, target: Target, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "SESSION_AGE_SECONDS", -1.0)
    first = FakeSession([[row()]])
    adapter = FakeAdapter([first, FakeSession([[row()]])])
    lane = Lane(target, adapter, [make_check(tmp_path)], Store(), watchdog)
    lane.run("long_queue")
    lane.run("long_queue")
    assert adapter.connects == 2
    assert first.closed


def test_the_held_session_outlives_its_age_while_the_server_takes_no_new_one(
    tmp_path: Path, target: Target, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "SESSION_AGE_SECONDS", -1.0)
    adapter = FakeAdapter([FakeSession([[row()], [row()]])])
    lane = Lane(target, adapter, [make_check(tmp_path)], Store(), watchdog)
    lane.run("long_queue")
    lane._probe_backoff.fail(TargetError(Reason.TOO_MANY_CONNECTIONS, "auth", "full"))
    assert lane.run("long_queue").status is Status.OK
    assert adapter.connects == 1


@pytest.mark.parametrize("where", ["connect", "refresh"])
def test_a_bug_of_an_engine_is_an_outcome_and_leaves_no_connection(
    tmp_path: Path, target: Target, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    session = FakeSession([])
    adapter = FakeAdapter([session])

    def crash(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(adapter if where == "connect" else session, where, crash)
    store = Store()
    lane = Lane(target, adapter, [make_check(tmp_path)], store, watchdog)
    outcome = lane.run("long_queue")
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.ERROR)
    assert store.view("orders").checks[0].outcome == outcome  # type: ignore[union-attr]  # the target is registered
    assert session.closed is (where == "refresh")


def test_facts_that_do_not_come_in_time_are_a_timeout(
    tmp_path: Path, target: Target, watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_FACTS_SECONDS", 0.0)
    shut = threading.Event()
    session = FakeSession([])

    def hang(_: Deadline) -> None:
        assert shut.wait(10)
        raise ConnectionLost(Reason.CONNECTION_LOST, "shut")

    monkeypatch.setattr(session, "refresh", hang)
    monkeypatch.setattr(session, "abort", shut.set)
    lane = Lane(
        replace(target, connect_timeout=0.01), FakeAdapter([session]), [make_check(tmp_path)], Store(), watchdog
    )
    assert lane.run("long_queue").reason is Reason.TIMEOUT
    assert session.closed


def test_backoff_doubles_to_a_minute_and_is_slow_for_a_full_server() -> None:
    now = 0.0
    backoff = Backoff(lambda: now)
    pauses = []
    for _ in range(8):
        backoff.fail(REFUSED)
        before = now
        while backoff.waiting:
            now += 0.1
        pauses.append(now - before)
    assert pauses[0] <= 1.1
    assert all(later > earlier for earlier, later in itertools.pairwise(pauses[:6]))
    assert 48 <= pauses[-1] <= 60.1
    backoff.clear()
    assert not backoff.waiting
    backoff.fail(TargetError(Reason.TOO_MANY_CONNECTIONS, "auth", "full"))
    now += 20
    assert backoff.waiting


def test_a_lane_that_was_shut_leaves_the_server_and_asks_no_more(
    tmp_path: Path, target: Target, watchdog: Watchdog
) -> None:
    session = FakeSession([[row()], [row()]])
    adapter = FakeAdapter([session])
    store = Store()
    lane = Lane(target, adapter, [make_check(tmp_path)], store, watchdog)
    lane.run("long_queue")
    before = store.views()
    lane.shut()
    assert session.closed
    assert lane.run("long_queue").status is Status.UNKNOWN
    assert adapter.connects == 1
    assert store.views() == before, "another lane may have the name by now"


@pytest.mark.parametrize("hears", [True, False], ids=["hears", "deaf"])
def test_a_run_under_way_is_cancelled_and_then_cut_off(
    tmp_path: Path, target: Target, watchdog: Watchdog, hears: bool
) -> None:
    asked, told = threading.Event(), threading.Event()

    def hang(_: Deadline) -> list[RawRow]:
        asked.set()
        assert told.wait(10)
        raise ConnectionLost(Reason.CONNECTION_LOST, "shut")

    session = FakeSession([hang])
    if hears:
        session.cancel = told.set  # type: ignore[method-assign]  # a server that ends the query when it is told to
    session_abort = session.abort

    def abort() -> None:
        session_abort()
        told.set()

    session.abort = abort  # type: ignore[method-assign]  # the socket is shut under the blocked call
    store = Store()
    lane = Lane(target, FakeAdapter([session]), [make_check(tmp_path)], store, watchdog)
    thread = threading.Thread(target=lane.run, args=("long_queue",))
    thread.start()
    assert asked.wait(10)
    lane.shut()
    thread.join(10)
    assert not thread.is_alive()
    assert session.closed
    assert session.aborted == (0 if hears else 1)
    assert store.views()[0].checks[0].outcome is None
