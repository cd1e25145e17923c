"""One query and what may become of it: too slow, a trickle, a cut, a write, the end of its own session, no room."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.postgres import opening
from dbwatch.errors import CheckError
from dbwatch.model import Outcome, Reason, Status
from tests.conftest import FreshPostgres
from tests.faults.bench import ASKED, Bench, bench, own_check, target_of
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.waiting import eventually

MANY_ROWS = (
    "select pg_catalog.repeat('x', 100) || g as queue, g as length from pg_catalog.generate_series(1, 1000) as g"
)


@pytest.fixture
def url(newest_pg: Postgres) -> str:
    return newest_pg.create_monitor_role()


def told(outcome: Outcome) -> tuple[Status, Reason | None, str | None]:
    return outcome.status, outcome.reason, outcome.step


# -- rows that come slowly, or not at all ----------------------------------------------------------


@pytest.fixture
def far_away(
    url: str, newest_pg: Postgres, proxy_to: Callable[[int], Proxy], tmp_path: Path
) -> Iterator[tuple[Bench, Proxy]]:
    """A check of a thousand rows, which has answered once, and the proxy it is asked through."""
    proxy = proxy_to(newest_pg.port)
    checks = [own_check(tmp_path, "plenty", MANY_ROWS, timeout="2s"), own_check(tmp_path, "other")]
    with bench(target_of(proxy.url(url)), checks) as site:
        assert site.look("plenty").answered
        yield site, proxy


def test_row_09_a_trickle_of_rows_is_ended_at_step_fetch(far_away: tuple[Bench, Proxy]) -> None:
    site, proxy = far_away
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # What `begin` answers gets through; the rows would take six seconds.
    proxy.drip(20_000)
    outcome = site.look("plenty")
    assert told(outcome) == (Status.UNKNOWN, Reason.TIMEOUT, "fetch")
    assert outcome.rows == ()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024
    proxy.pass_()
    eventually(lambda: site.look("other").answered, every=0.2)


def test_row_10_a_result_that_was_cut_is_no_result(far_away: tuple[Bench, Proxy]) -> None:
    site, proxy = far_away
    proxy.cut_after(60_000)
    outcome = site.look("plenty")
    assert told(outcome) == (Status.UNKNOWN, Reason.CONNECTION_LOST, "fetch")
    assert outcome.rows == ()
    assert site.state.up is False
    assert "dbwatch_pg_test_plenty_length{" not in site.page()
    proxy.pass_()
    eventually(lambda: site.look("plenty").answered, every=0.2)
    assert site.page().count("dbwatch_pg_test_plenty_length{") > 100


# -- a query that never ends -----------------------------------------------------------------------


def test_row_19_the_server_ends_it_at_our_limit(url: str, newest_pg: Postgres, tmp_path: Path) -> None:
    slow = own_check(
        tmp_path, "slow", f"select queue, length from ({ASKED}) as q, pg_catalog.pg_sleep(60)", timeout="1s"
    )
    with bench(target_of(url), [slow, own_check(tmp_path, "other")]) as site:
        outcome = site.look("slow")
        assert told(outcome) == (Status.UNKNOWN, Reason.TIMEOUT, "query")
        assert "no answer within 1 s" in outcome.summary
        assert site.look("other").answered
        # And where nobody watches: the limit is the server's own.
        session = site.lane._adapter.connect(site.lane.target, Deadline.after(20))
        session.refresh(Deadline.after(20))
        mark, started = newest_pg.log_mark(), time.monotonic()
        with pytest.raises(CheckError) as raised:
            session.measure(slow, Deadline.after(1))
        session.close()
        assert time.monotonic() - started < 15
        assert raised.value.reason is Reason.TIMEOUT
        lines = newest_pg.log_lines_since(mark)
        assert any("canceling statement due to statement timeout" in line for line in lines)


def test_found_the_limit_of_a_role_strikes_inside_begin(
    url: str, newest_pg: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role has a statement_timeout of a millisecond, and `begin` takes longer on a busy machine. Our own limit is set
    in pieces that are short enough, and the check runs."""
    monkeypatch.setattr(opening, "_ROLE", "(select pg_catalog.pg_is_in_recovery() from pg_catalog.pg_sleep(0.3))")
    newest_pg.create_monitor_role("hurried")
    newest_pg.sql("ALTER ROLE hurried SET statement_timeout = '5ms'")
    with bench(target_of(newest_pg.url("hurried")), [own_check(tmp_path, "other")]) as site:
        eventually(lambda: site.look("other").answered, every=0.2, what="the check runs")


# -- what a check may not do -----------------------------------------------------------------------

FORBIDDEN = {
    "insert": "insert into kept values (2) returning 'mail'::text as queue, 1 as length",
    "delete_in_cte": "with gone as (delete from public.kept returning id) select 'x' as queue, id as length from gone",
    "commit": f"{ASKED}) as q; commit; select * from ({ASKED}",
    "rollback": f"{ASKED}) as q limit 1; rollback; delete from public.kept; select * from ({ASKED}",
    "two_statements": f"{ASKED}; delete from public.kept",
    "set": "set transaction read write",
    "set_local_in_between": f"{ASKED}) as q; set transaction read write; select * from ({ASKED}",
    "do": "do $$ begin delete from public.kept; end $$",
    "copy": "copy public.kept to program 'touch /tmp/dbwatch-was-here'",
    "ddl": "create table public.planted (id int)",
    "function_that_writes": "select 'mail'::text as queue, public.writes() as length",
    "set_config": "select set_config('transaction_read_only', 'off', false) as queue, public.writes() as length",
    "select_into": "select 'mail'::text as queue, 1 as length into public.planted",
    "for_update": "select 'mail'::text as queue, id as length from public.kept for update",
    "comment_that_hides_the_end": f"{ASKED} /*",
    "lock": "lock table public.kept",
}
CONTENT = "SELECT (SELECT count(*) FROM public.kept), (SELECT count(*) FROM pg_class WHERE relname = 'planted')"


def test_row_20_a_check_that_writes_is_an_error_and_changes_nothing(newest_pg: Postgres, tmp_path: Path) -> None:
    """As a superuser, who may do all of it elsewhere."""
    name = newest_pg.create_database("untouched")
    newest_pg.sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)", dbname=name)
    newest_pg.sql(
        "CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS $$ INSERT INTO public.kept VALUES (3); SELECT 1 $$",
        dbname=name,
    )
    checks = [own_check(tmp_path, f"bad_{word}", sql) for word, sql in FORBIDDEN.items()]
    try:
        with bench(target_of(newest_pg.url(dbname=name)), [*checks, own_check(tmp_path, "good")]) as site:
            for check in checks:
                outcome = site.look(check.name)
                assert (outcome.status, outcome.answered) == (Status.UNKNOWN, False), outcome
                assert outcome.reason in (Reason.BAD_RESULT, Reason.ERROR), outcome
                assert site.look("good").answered, check.name
            assert newest_pg.sql(CONTENT, dbname=name) == [(1, 0)]
            assert len(newest_pg.sql("SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in%'")) == 0
            assert not Path("/tmp/dbwatch-was-here").exists()
    finally:
        newest_pg.drop_database(name)


def test_row_21_a_check_that_ends_its_own_session_costs_one_run(url: str, tmp_path: Path) -> None:
    suicide = (
        "select 'mail'::text as queue, pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())::int as length"
    )
    with bench(target_of(url), [own_check(tmp_path, "suicide", suicide), own_check(tmp_path, "other")]) as site:
        for _ in range(3):
            assert site.look("suicide").reason is Reason.CONNECTION_LOST
            assert site.look("other").answered
        assert not [event for event in site.events() if "exception" in event]


# -- a server that has no room ---------------------------------------------------------------------


def test_found_the_server_has_no_room_for_another_lock(fresh_postgres: FreshPostgres, tmp_path: Path) -> None:
    """One transaction of somebody else holds every entry of the lock table. A check that needs more is `resources`, the
    others go on, and all is well when the transaction has ended."""
    server = fresh_postgres(18, settings={"max_locks_per_transaction": "10", "max_connections": "10"})
    url = server.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
    server.sql("DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE TABLE t%s (id int)', i); END LOOP; END $$")
    sizes = (
        "select 'mail'::text as queue, count(*) as length from ("
        + " union all ".join(f"select id from public.t{i}" for i in range(1, 61))
        + ") as q"
    )
    with bench(target_of(url), [own_check(tmp_path, "greedy", sizes), own_check(tmp_path, "modest")]) as site:
        assert site.look("greedy").answered
        with server.connect() as hog:
            hog.execute("BEGIN")
            taken = _take_locks(hog.execute)
            assert taken > 50
            outcome = site.look("greedy")
            assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.RESOURCES), outcome
            assert site.look("modest").answered
            hog.execute("ROLLBACK")
        assert site.look("greedy").answered


def _take_locks(execute: Callable[[bytes], object]) -> int:
    """Advisory locks until there is no room; the last one that failed is forgotten."""
    taken = 0
    while True:
        execute(b"SAVEPOINT s")
        try:
            execute(b"SELECT pg_advisory_xact_lock(%d)" % taken)
        except psycopg.Error:
            execute(b"ROLLBACK TO s")
            return taken
        execute(b"RELEASE s")
        taken += 1
