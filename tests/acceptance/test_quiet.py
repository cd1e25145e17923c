"""No alarm without a cause: servers that are merely new, idle, empty, a standby, or full of tables nobody uses yet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from dbwatch.adhoc import Selection, run_once
from dbwatch.config.loader import zero_config
from dbwatch.model import Status
from tests.acceptance import suburb
from tests.conftest import end_majors
from tests.harness.postgres import Postgres, StopMode
from tests.harness.waiting import eventually

ADVICE = frozenset({"schema", "queries", "security", "config"})
"""Groups that may say something of a healthy server: what its owner could do better at leisure."""

SETTINGS = {"full_page_writes": "on", "shared_buffers": "128MB"}
pytestmark = pytest.mark.timeout(120)


@dataclass
class Estate:
    """One server, and the standby it gets later."""

    primary: Postgres
    standbys: list[Postgres] = field(default_factory=list)

    def said(self, *, sample_seconds: float = 0.2, dbname: str = "postgres") -> list[str]:
        """What a pass over all servers says that it should not."""
        urls = [self.primary.url("dbwatch", dbname), *(standby.url("dbwatch") for standby in self.standbys)]
        with self._durable():
            result = run_once(zero_config(urls, environ={}), Selection(), sample_seconds=sample_seconds)
        return [
            f"{view.target.name}: {seen.check.group}/{seen.check.name} {outcome.status}: {outcome.summary}"
            for view in result.views
            for seen in view.checks
            if (outcome := seen.outcome) is not None and not _is_quiet(outcome.status, seen.check.group)
        ]

    def streams(self) -> bool:
        """Whether every standby has its primary. Without, it has a cause to speak."""
        rows = self.primary.sql("select 1 from pg_stat_replication where state = 'streaming'")
        return len(rows) == len(self.standbys)

    @contextmanager
    def _durable(self) -> Iterator[None]:
        """fsync is on while somebody looks; building and stopping with it would take minutes."""
        servers = [self.primary, *self.standbys]
        for server in servers:
            server.configure(fsync="on")
        yield
        for server in servers:
            server.configure(fsync="off")


def _is_quiet(status: Status, group: str) -> bool:
    return status in (Status.OK, Status.SKIPPED) or (status is Status.WARNING and group in ADVICE)


@pytest.fixture(scope="module", params=end_majors(), ids=lambda major: f"pg{major}")
def estate(request: pytest.FixtureRequest) -> Iterator[Estate]:
    with Postgres(request.param, settings=SETTINGS) as primary:
        primary.create_monitor_role()
        yield Estate(primary)


def test_an_empty_server_just_started(estate: Estate) -> None:
    assert estate.said() == []
    assert estate.said(sample_seconds=0) == []


def test_a_fresh_standby_and_its_primary(estate: Estate) -> None:
    estate.standbys.append(estate.primary.standby(settings={"wal_retrieve_retry_interval": "100ms"}))
    assert estate.said() == []


def test_hundreds_of_tables_that_nobody_has_analyzed(estate: Estate) -> None:
    suburb.build(estate.primary)
    assert estate.said(dbname=suburb.DATABASE) == []


def test_hundreds_of_tables_analyzed_and_idle(estate: Estate) -> None:
    if not estate.primary.sql("select from pg_database where datname = %s", [suburb.DATABASE]):
        suburb.build(estate.primary)
    estate.primary.sql("ANALYZE", dbname=suburb.DATABASE)
    assert estate.said(dbname=suburb.DATABASE) == []
    assert estate.said(dbname=suburb.DATABASE, sample_seconds=0) == []


def test_a_reader_of_everything_is_told_no_more(estate: Estate) -> None:
    estate.primary.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
    assert estate.said() == []


def test_after_a_restart(estate: Estate) -> None:
    modes: tuple[StopMode, ...] = ("fast", "immediate")
    for mode in modes:
        estate.primary.restart(mode)
        eventually(estate.streams, timeout=30, what="the standby is back")
        assert estate.said() == []
