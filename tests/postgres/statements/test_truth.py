"""Reported calls are exact and times are the server's own, whatever happens to the server and its extension."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from dbwatch.model import Outcome, Status
from tests.conftest import FreshPostgres, wanted_majors
from tests.harness.postgres import Postgres
from tests.postgres.statements.workload import SETTINGS, Workload, row_of
from tests.postgres.watching import Watch, watching

OLD_VERSION = {14: "1.7", 18: "1.10"}
MAJORS = [major for major in OLD_VERSION if major in wanted_majors()] or [max(wanted_majors())]


class Account:
    """What slow_statement told of each statement since its first look, summed up."""

    def __init__(self, watch: Watch, work: Workload) -> None:
        self.watch = watch
        self.work = work
        self.calls: dict[int, float] = {}
        self.seconds: dict[int, float] = {}
        self.truth: dict[int, float] = {}
        self._seen: dict[int, float] = {}

    def look(self) -> Outcome:
        outcome = self.watch.look("a")
        assert outcome.status in (Status.OK, Status.UNKNOWN, Status.WARNING), outcome.summary
        for row in outcome.rows:
            if row.labels["queryid"] != "other" and row.values.get("new_calls") is not None:
                queryid = int(row.labels["queryid"])
                self.calls[queryid] = self.calls.get(queryid, 0.0) + (row.values["new_calls"] or 0.0)
                self.seconds[queryid] = self.seconds.get(queryid, 0.0) + (row.values["new_seconds"] or 0.0)
        return outcome

    def note(self, *names: str) -> None:
        """Take the server's own account, which begins anew with a reset."""
        for name in names:
            queryid, _, seconds = self.work.entry(name)
            self.truth[queryid] = self.truth.get(queryid, 0.0) + seconds - self._seen.get(queryid, 0.0)
            self._seen[queryid] = seconds

    def reset(self) -> None:
        self.work.server.sql("select pg_stat_statements_reset()")
        self._seen.clear()


@pytest.fixture(params=MAJORS, ids=lambda major: f"pg{major}")
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with Postgres(request.param, settings=SETTINGS) as server:
        yield server


def test_calls_and_times_through_reset_evictions_restart_and_update(server: Postgres) -> None:
    work = Workload(server, version=OLD_VERSION.get(server.major))
    work.define("a", 0.002)
    work.define("b", 0.004)
    with watching("slow_statement") as watch:
        watch.add("a", server)
        account = Account(watch, work)
        work.run("a", 30)
        work.run("b", 20)
        first = account.look()
        account.note("a", "b")
        account.truth.clear()
        started = dict(work.ran)

        work.run("a", 25)
        work.run("b", 7)
        account.look()
        account.note("a", "b")

        account.reset()
        work.run("a", 20)
        work.run("b", 15)
        account.look()

        for _ in range(4):
            work.run("a", 10)
            work.storm(120)  # the server has room for 100 and keeps those that run often
            work.run("b", 10)
        stormy = account.look()

        work.run("a", 5)
        account.note("a", "b")
        server.restart()
        work.run("a", 6)
        watch.reconnect("a")
        account.look()

        work.run("b", 4)
        server.sql("alter extension pg_stat_statements update")
        work.run("a", 9)
        work.run("b", 8)
        last = account.look()
        account.note("a", "b")

    for name in ("a", "b"):
        queryid, _, _ = work.entry(name)
        known = work.ran[name] - started[name]
        assert account.calls[queryid] == known, name
        assert account.seconds[queryid] == pytest.approx(account.truth[queryid], rel=0.01), name
        assert account.seconds[queryid] >= known * (0.002 if name == "a" else 0.004)
        grown = (row_of(last, queryid).values["calls"] or 0) - (row_of(first, queryid).values["calls"] or 0)
        assert grown == known, "the exported counter says the same"
    assert row_of(stormy, queryid).values["complete"] == 0, "an eviction storm is no complete window"


def test_what_is_named_and_the_remainder_are_everything(fresh_postgres: FreshPostgres) -> None:
    """More statements than have a name: the sums of the rows grow by what ran, to the call."""
    server = fresh_postgres(max(wanted_majors()))
    server.create_database('o"ther')
    work = Workload(server)
    with watching("slow_statement") as watch:
        watch.add("a", server)
        before = watch.look("a")
        work.storm(149)
        work.storm(149)
        with server.connect(dbname='o"ther') as session:
            for _ in range(12):
                session.execute(b"select 1, 2")
        after = watch.look("a")
    assert len(after.rows) < 60
    # Counted at the end of each statement: what fed the first look is in the second one, and so on.
    assert _calls_of(after, "postgres", "postgres") + _calls_of(after, "postgres", "") >= 2 * 149
    grown = _calls_of(after, "postgres") - _calls_of(before, "postgres")
    own = _calls_of(after, "postgres", "dbwatch")
    assert 2 * 149 <= grown <= 2 * 149 + own + 12
    assert _calls_of(after, 'o"ther') == 12


def _calls_of(outcome: Outcome, database: str, role: str | None = None) -> float:
    rows = [row for row in outcome.rows if row.labels["database"] == database]
    return math.fsum(row.values["calls"] or 0.0 for row in rows if role in (None, row.labels["role"]))


def test_the_spread_of_a_window_is_exact(server: Postgres) -> None:
    """Each execution's own time is what the server's total grew by; the check knows nothing but the two ends."""
    work = Workload(server)
    work.define("a", 0.001)
    work.run("a", 200)
    with watching("slow_statement") as watch, server.connect() as session:
        watch.add("a", server)
        watch.look("a")
        queryid, _, total = work.entry("a", session=session)
        durations: list[float] = []
        for number in range(40):
            if number % 8 == 0:
                work.define("a", 0.001 * (1 + number / 4))
            session.execute(b"select wait_a()")
            _, _, now = work.entry("a", session=session)
            durations.append(now - total)
            total = now
        row = row_of(watch.look("a"), queryid)
    mean = math.fsum(durations) / len(durations)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in durations) / len(durations))
    assert row.values["new_calls"] == len(durations)
    assert row.values["mean_seconds"] == pytest.approx(mean, rel=1e-6)
    assert row.values["stddev_seconds"] == pytest.approx(deviation, rel=1e-6)
