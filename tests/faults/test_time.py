"""Rows 38 to 40 and 49: clocks that jump, checks that are slower than their pace, and hours of outage."""

from __future__ import annotations

import datetime
import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dbwatch.backoff import Backoff
from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.engines.postgres.adapter import PostgresAdapter
from dbwatch.engines.postgres.session import PostgresSession
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.cases import CHECKS
from tests.conftest import wanted_majors
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.series import up
from tests.harness.waiting import eventually

CONFIG = """\
checks_dir: {folder}
defaults:
  profile: minimal
  connect_timeout: 2s
  intervals: {{server_unreachable: 1s, idle_in_transaction: {pace}, test_slow: {pace}}}
  checks: {{enable: [idle_in_transaction]}}
targets:
"""
TARGET = "  - {{name: {name}, engine: postgres, url: '{url}'{more}}}\n"
SLOW = """\
summary: Takes three times its interval
group: tests
why: A test needs one that is late.
every: 1m
timeout: 10s
enabled: false
sql: select pg_catalog.length(public.slow()) as number
columns:
  number: {use: gauge, metric: dbwatch_pg_slow_number, help: A number.}
message: slow
runbook: {meaning: m, impact: i, diagnosis: d, mitigation: m}
"""
HUNG, WELL = 10, 5
PACE = "400ms"
QUICK = 'check="idle_in_transaction"'
HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with Postgres(max(wanted_majors())) as server:
        server.create_monitor_role()
        server.sql("CREATE FUNCTION public.slow() RETURNS text LANGUAGE sql AS 'SELECT pg_catalog.pg_sleep(1.2)::text'")
        yield server


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "postgres").mkdir()
    (folder / "postgres" / "test_slow.yaml").write_text(SLOW)
    return folder


def count(daemon: Daemon, family: str, target: str, check: str) -> float:
    """The sum of a counter of one check, or of the target."""
    wanted = (f'target="{target}"', f'check="{check}"' if check else "")
    lines = (line for line in daemon.metrics().splitlines() if line.startswith(f"{family}{{"))
    return sum(float(line.rpartition(" ")[2]) for line in lines if all(part in line for part in wanted))


def runs(daemon: Daemon, target: str = "shop", check: str = "idle_in_transaction") -> float:
    (found,) = (entry for entry in daemon.status()["targets"] if entry["target"] == target)
    return sum(sum(entry["runs"].values()) for entry in found["checks"] if entry["check"] == check)


def missed(daemon: Daemon, target: str = "shop") -> float:
    return count(daemon, "dbwatch_check_missed_total", target, "")


# -- row 38 ----------------------------------------------------------------------------------------


class Clocked:
    """A daemon in Berlin whose wall clock goes where it is told to."""

    def __init__(self, daemon: Daemon, file: Path) -> None:
        self.daemon = daemon
        self._file = file
        self.ahead = 0.0

    def jump(self, seconds: float) -> None:
        self.ahead += seconds
        new = self._file.with_suffix(".new")
        new.write_text(str(self.ahead))
        new.replace(self._file)

    def set(self, moment: datetime.datetime) -> None:
        self.jump(moment.timestamp() - time.time() - self.ahead)

    @property
    def tick(self) -> float:
        name = "dbwatch_scheduler_tick_timestamp_seconds "
        return next(float(line.split()[1]) for line in self.daemon.metrics().splitlines() if line.startswith(name))

    def goes_on(self) -> None:
        """Several runs more, at an age that is a duration, and proof of life by the new clock."""
        before = runs(self.daemon)
        eventually(lambda: runs(self.daemon) >= before + 3, what="runs by the new clock")
        eventually(lambda: abs(self.tick - time.time() - self.ahead) < 60, what="a tick by the new clock")
        assert self.daemon.answers("/healthz")
        (target,) = self.daemon.status()["targets"]
        ages = {check["check"]: check["age_seconds"] for check in target["checks"]}
        assert 0 <= ages["idle_in_transaction"] < 60
        assert target["up"] is True

    @property
    def memory(self) -> int:
        line = next(
            line for line in Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines() if "VmRSS" in line
        )
        return int(line.split()[1]) * 1024


@pytest.fixture(scope="module")
def clocked(pg: Postgres, checks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clocked]:
    file = tmp_path_factory.mktemp("clock") / "ahead"
    file.write_text("0")
    env = {
        "PYTHONPATH": str(Path(__file__).parent / "shifted"),
        "DBWATCH_TEST_CLOCK": str(file),
        "TZ": "Europe/Berlin",
    }
    text = CONFIG.format(folder=checks, pace=PACE) + TARGET.format(name="shop", url=pg.url("dbwatch"), more="")
    with Daemon(config_text=text, env=env) as daemon:
        daemon.wait_ready()
        yield Clocked(daemon, file)


def test_row_38_the_clock_goes_back_an_hour_and_ahead_sixty_days(clocked: Clocked) -> None:
    clocked.goes_on()
    memory, left_out = clocked.memory, missed(clocked.daemon)
    clocked.jump(-HOUR)
    clocked.goes_on()
    clocked.jump(60 * DAY)
    clocked.goes_on()
    assert clocked.memory - memory < 20 * 1024 * 1024
    assert missed(clocked.daemon) - left_out < 1000, "sixty days of runs were not enumerated"
    assert any("clock was set back" in line for line in clocked.daemon.log_lines())


@pytest.mark.parametrize("moment", ["2027-03-28T00:59:58", "2027-10-31T00:59:58"], ids=["spring", "autumn"])
def test_row_38_summer_time_begins_and_ends(clocked: Clocked, moment: str) -> None:
    clocked.set(datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC))
    clocked.goes_on()
    assert not [line for line in clocked.daemon.log_lines() if "Traceback" in line]


# -- rows 39 and 40 --------------------------------------------------------------------------------


def test_row_39_a_check_slower_than_its_interval_never_runs_twice_at_once(pg: Postgres, checks: Path) -> None:
    slow = TARGET.format(name="late", url=pg.url("dbwatch"), more=", checks: {enable: [test_slow]}")
    active = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dbwatch' AND wait_event = 'PgSleep'"
    with Daemon(config_text=CONFIG.format(folder=checks, pace=PACE) + slow) as daemon, pg.connect() as eye:
        daemon.wait_ready()
        ran, skipped, began = runs(daemon, "late", "test_slow"), missed(daemon, "late"), time.monotonic()
        most = 0

        def watched() -> bool:
            nonlocal most
            row = eye.execute(active.encode()).fetchone()
            assert row is not None
            most = max(most, row[0])
            return runs(daemon, "late", "test_slow") >= ran + 2

        eventually(watched)
        took = time.monotonic() - began
        ran, skipped = runs(daemon, "late", "test_slow") - ran, missed(daemon, "late") - skipped
        assert most == 1
        assert skipped >= ran, "two of three turns are left out"
        assert ran <= took / 0.4 + 5, "each turn counts once"


def test_row_40_ten_that_hang_hold_up_none_of_the_five_that_are_well(pg: Postgres, checks: Path) -> None:
    url = pg.url("dbwatch")
    well = [f"well{number}" for number in range(WELL)]
    hung = [f"hung{number}" for number in range(HUNG)]
    with ExitStack() as running:
        proxy = running.enter_context(Proxy(pg.port))
        text = CONFIG.format(folder=checks, pace="1s")
        text += "".join(TARGET.format(name=name, url=url, more="") for name in well)
        text += "".join(TARGET.format(name=name, url=proxy.url(url), more="") for name in hung)
        daemon = running.enter_context(Daemon(config_text=text))
        daemon.wait_ready()
        proxy.freeze()
        began, before = time.monotonic(), {name: runs(daemon, name) for name in well}
        for name in hung:
            daemon.wait_metric(up(name, 0))
        after = {name: runs(daemon, name) - before[name] for name in well}
        took = time.monotonic() - began
        # One a second is meant; a machine that is busy may make it one every three.
        assert min(after.values()) >= took / 3 - 2, (after, took)
        assert min(after.values()) >= max(after.values()) / 2, "one was served at another's cost"
        page = daemon.metrics()
        for name in well:
            assert up(name, 1) in page
        assert not [
            line for line in page.splitlines() if "dbwatch_check_reason" in line and QUICK in line and "well" in line
        ]
        proxy.pass_()


# -- row 49 ----------------------------------------------------------------------------------------


class Counting(PostgresAdapter):
    """Counts how often a server is bothered."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0

    def connect(self, target: Target, deadline: Deadline) -> PostgresSession:
        self.attempts += 1
        return super().connect(target, deadline)

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        self.attempts += 1
        return super().reach(target, deadline)


def hundred_checks() -> list[Check]:
    probe, base = (
        load_check(CHECKS / "postgres" / f"{name}.yaml", Engine.POSTGRES)
        for name in ("server_unreachable", "idle_in_transaction")
    )
    return [probe, *(replace(base, name=f"number_{number}") for number in range(99))]


def test_row_49_an_hour_of_outage_is_a_few_lines_and_few_attempts(pg: Postgres) -> None:
    """The hour is the lane's: its backoff goes by a clock of ours, sixty runs of every check."""
    now = 0.0
    adapter, store, watchdog = Counting(), Store(), Watchdog()
    target = Target(name="shop", engine=Engine.POSTGRES, host="127.0.0.1", port=0, user="dbwatch", database="postgres")
    with Proxy(pg.port) as proxy:
        lane = Lane(replace(target, port=proxy.port), adapter, hundred_checks(), store, watchdog)
        lane._backoff, lane._probe_backoff = Backoff(lambda: now), Backoff(lambda: now)
        try:
            assert all(lane.run(name).status is Status.OK for name in lane.checks)
            adapter.attempts = 0
            proxy.refuse()
            with capture_logs() as logged:
                for minute, (place, name) in itertools.product(range(60), enumerate(lane.checks)):
                    now = 60.0 * minute + 0.6 * place
                    assert lane.run(name).status in (Status.UNKNOWN, Status.CRITICAL)
                attempts = adapter.attempts
                proxy.pass_()
                now += 61
                assert all(lane.run(name).status is Status.OK for name in lane.checks)
        finally:
            lane.close()
            watchdog.close()
    told = [event["event"] for event in logged]
    assert len(logged) <= 20, told
    assert {"target down", "target reached again"} <= set(told)
    # Two that back off, the probe and the session: 1, 2, 4 … 32 s, then every minute with a jitter of a fifth.
    assert 60 <= attempts <= 2 * (6 + 3600 / 48)
