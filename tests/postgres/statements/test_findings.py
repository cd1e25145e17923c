"""Statements that became slower or run in a loop are found, others left alone; and what is shown of their texts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbwatch.engines.postgres.probes import statements
from dbwatch.exposition import render_outcomes
from dbwatch.model import Status
from tests.conftest import wanted_majors
from tests.harness.postgres import Postgres
from tests.postgres.statements.workload import SETTINGS, Workload, row_of
from tests.postgres.watching import watching

CALLS = 32


@pytest.fixture
def server() -> Iterator[Postgres]:
    with Postgres(max(wanted_majors()), settings=SETTINGS) as server:
        yield server


def test_a_planted_regression_is_found_and_a_steady_statement_is_not(server: Postgres) -> None:
    work = Workload(server)
    work.define("steady", 0.004)
    work.define("changed", 0.004)
    with watching("statement_regression") as watch:
        watch.add("a", server)
        watch.look("a")
        for _ in range(9):
            work.run("steady", CALLS)
            work.run("changed", CALLS)
            outcome = watch.look("a")
            assert outcome.status is Status.OK, outcome.summary
        work.define("changed", 0.02)
        for _ in range(2):
            work.run("steady", CALLS)
            work.run("changed", CALLS)
            outcome = watch.look("a")
        queryid, _, _ = work.entry("changed")
        (finding,) = outcome.findings
        assert finding.labels["queryid"] == str(queryid)
        assert 3 < (finding.values["slowdown_ratio"] or 0) < 8
        assert "times as long as usual" in finding.message
        assert "as many rows and blocks a call as before, so it waits" in finding.message
        assert finding.details["query"] == "select wait_changed()"
        assert (finding.fix or "").startswith("EXPLAIN (GENERIC_PLAN) select wait_changed();")
        work.define("changed", 0.004)
        for _ in range(2):
            work.run("steady", CALLS)
            work.run("changed", CALLS)
            outcome = watch.look("a")
        assert outcome.status is Status.OK, outcome.summary
        assert row_of(outcome, queryid).values["slowdown_ratio"] == pytest.approx(1, abs=0.4)


ONE_ROW = b"select note from notes where id = 7"


def test_a_loop_in_a_transaction_is_found_and_as_many_single_requests_are_not(
    server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_LEAST_WINDOW_SECONDS", 0.0)
    server.sql("create extension pg_stat_statements")
    server.sql("create table notes (id int primary key, note text); insert into notes values (7, 'x')")
    with watching("statement_n_plus_one") as watch:
        watch.add("a", server)
        with server.connect() as session:
            for _ in range(30):
                session.execute(ONE_ROW)
        watch.look("a")
        with server.connect() as session:
            for _ in range(1500):
                session.execute(ONE_ROW)
        assert watch.look("a").status is Status.OK
        with server.connect() as session, session.transaction():
            for _ in range(1500):
                session.execute(ONE_ROW)
        (finding,) = watch.look("a").findings
    assert finding.details["query"] == "select note from notes where id = $1"
    assert finding.values["new_calls"] == 1500
    assert (finding.values["calls_per_transaction"] or 0) > 50
    assert "ran 1,500 times" in finding.message


SLOW = {Status.WARNING: "queryid != 'other' and mean_seconds > 20ms"}
READS = "select coalesce(sum(calls), 0) from pg_stat_statements where query like '%left(s.query%'"


def _reads_of_texts(server: Postgres) -> int:
    ((reads,),) = server.sql(READS)
    return int(reads)


def test_texts_are_read_for_findings_only_seldom_and_shown_in_reports_only(
    server: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    work = Workload(server)
    for name in ("a", "b"):
        work.define(name, 0.03)
    with watching("slow_statement") as watch:
        watch.check = watch.check.with_levels(SLOW)
        watch.add("a", server)
        for name in ("a", "b"):
            work.run(name, 2)
        assert not watch.look("a").findings
        assert not watch.look("a").findings
        assert _reads_of_texts(server) == 0
        work.run("a", 2)
        (finding,) = watch.look("a").findings
        assert finding.details["query"] == "select wait_a()"
        assert _reads_of_texts(server) == 1
        work.run("a", 2)
        work.run("b", 2)
        texts = {finding.details["query"]: finding for finding in watch.look("a").findings}
        assert texts.keys() == {"select wait_a()", None}
        assert "once in ten minutes" in (texts[None].details["query_note"] or "")
        assert (texts[None].fix or "").startswith("SELECT query FROM pg_stat_statements WHERE queryid = ")
        assert _reads_of_texts(server) == 1, "what is known is not asked for again, and the next not so soon"
        page = render_outcomes(watch._store.views())
    assert "dbwatch_pg_statement_calls_total" in page
    assert "wait_a" not in page + finding.message + "".join(capsys.readouterr())


def test_a_role_that_may_not_see_the_text_gets_the_reason(server: Postgres) -> None:
    """Managed servers hide the statements of their own superuser even from pg_read_all_stats."""
    work = Workload(server)
    work.define("a", 0.03)
    server.sql("alter function pg_stat_statements(boolean) rename to real_statements")
    server.sql(
        "create function pg_stat_statements(showtext boolean) returns setof pg_stat_statements"
        " stable language plpgsql set search_path = public as"
        " $$ declare r pg_stat_statements; begin for r in select * from real_statements(showtext)"
        " loop r.query := '<insufficient privilege>'; return next r; end loop; end $$"
    )
    with watching("slow_statement") as watch:
        watch.check = watch.check.with_levels(SLOW)
        watch.add("a", server)
        work.run("a", 2)
        watch.look("a")
        work.run("a", 2)
        ((queryid,),) = server.sql("select queryid from real_statements(true) where query ~ '^select wait_a'")
        (finding,) = watch.look("a").findings
    assert finding.labels["queryid"] == str(queryid)
    assert finding.details["query"] is None
    assert "GRANT pg_read_all_stats" in (finding.details["query_note"] or "")
