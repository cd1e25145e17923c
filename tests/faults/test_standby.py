"""A primary and its standby: what is asked of which, a recovery that cancels us, a promotion while all is running."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dbwatch.model import Reason, Role, Status
from tests.conftest import wanted_majors
from tests.faults.bench import Bench, bench, bundled, own_check, target_of
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

NOISE = re.compile(r"\b(ERROR|FATAL|PANIC): ")


@dataclass(frozen=True, slots=True)
class Pair:
    primary: Postgres
    standby: Postgres

    @property
    def url(self) -> str:
        return self.standby.url("dbwatch")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Postgres(max(wanted_majors())) as primary:
        primary.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
        primary.sql(
            "CREATE TABLE stock AS SELECT g AS id FROM generate_series(1, 1000) AS g; CREATE TABLE heap (id int)"
        )
        standby = primary.standby(settings={"max_standby_streaming_delay": "100ms"})
        yield Pair(primary, standby)


@pytest.fixture(scope="module")
def site(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The standby, watched through everything that happens here, in the order of the tests."""
    slow = own_check(tmp_path_factory.mktemp("checks"), "slow", slowly("public.stock"))
    with bench(target_of(pair.url), (*bundled(pair.url), slow)) as site:
        yield site


def slowly(table: str) -> str:
    return f"select 'x' as queue, length from (select count(*) as length from {table}) as q, pg_catalog.pg_sleep(10)"


def meant_for(site: Bench, role: Role) -> set[str]:
    return {name for name, check in site.lane.checks.items() if check.requires.role is role}


def test_row_24_a_standby_is_not_asked_what_only_a_primary_knows(pair: Pair, site: Bench) -> None:
    mark = pair.standby.log_mark()
    outcomes = {name: site.look(name) for name in site.lane.checks if name != "slow"}
    skipped = {name for name, outcome in outcomes.items() if outcome.reason is Reason.ROLE}
    assert skipped >= meant_for(site, Role.PRIMARY)
    assert meant_for(site, Role.PRIMARY)
    assert not skipped & meant_for(site, Role.STANDBY)
    assert {outcomes[name].status for name in skipped} == {Status.SKIPPED}
    assert [line for line in pair.standby.log_lines_since(mark) if NOISE.search(line)] == []
    failed = {
        name: o for name, o in outcomes.items() if o.status is Status.UNKNOWN and o.reason is not Reason.NO_BASELINE
    }
    assert failed == {}


def test_row_26_a_recovery_that_cancels_us_is_a_conflict(pair: Pair, site: Bench) -> None:
    running = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'select * from (%pg_sleep(10)%'"

    def get_in_the_way() -> None:
        eventually(lambda: pair.standby.sql(running), what="the query runs")
        pair.primary.sql("DELETE FROM stock")
        pair.primary.sql("VACUUM stock")

    thread = threading.Thread(target=get_in_the_way)
    thread.start()
    outcome = site.look("slow")
    thread.join()
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.CONFLICT), outcome
    assert site.look("replication_lag").answered
    assert not [event for event in site.events() if "exception" in event]


def test_row_25_a_promotion_under_load_changes_the_plan_at_the_next_run(pair: Pair, site: Bench) -> None:
    stop = threading.Event()

    def load() -> None:
        with pair.primary.connect() as session:
            while not stop.is_set():
                session.execute(b"INSERT INTO heap SELECT generate_series(1, 100)")

    thread = threading.Thread(target=load)
    thread.start()
    try:
        session = site.lane._session
        pair.standby.promote()
        outcomes = {name: site.look(name) for name in site.lane.checks if name != "slow"}
    finally:
        stop.set()
        thread.join()
    skipped = {name for name, outcome in outcomes.items() if outcome.reason is Reason.ROLE}
    assert skipped >= meant_for(site, Role.STANDBY)
    assert not skipped & meant_for(site, Role.PRIMARY)
    assert site.lane._session is session, "the session lives through a promotion"
    names = [
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in text_string_to_metric_families(site.page())
        for sample in family.samples
    ]
    assert len(names) == len(set(names)), "a series twice"
    info = [dict(labels) for name, labels in names if name == "dbwatch_target_info"]
    assert [labels["role"] for labels in info] == ["primary"]
