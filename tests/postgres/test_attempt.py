"""A query that the server may refuse, inside the guarded transaction: what is survived, and what is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.postgres.guard import guarded
from dbwatch.errors import CheckError, ConnectionLost
from dbwatch.model import Reason
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

ONE = [{"one": 1}]


@pytest.fixture
def session(newest_pg: Postgres) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with newest_pg.connect() as connection:
        yield connection


def _nothing(step: str) -> None:
    del step


def test_an_error_is_the_answer_and_the_transaction_goes_on(pg: Postgres) -> None:
    with pg.connect() as session, guarded(session, Deadline.after(20), _nothing) as transaction:
        refused = transaction.attempt("select 1 / 0 as x", limit=1, seconds=5)
        assert refused == Refused(Reason.ERROR, "22012", "division by zero")
        assert transaction.attempt("select 1 as one", limit=1, seconds=5) == ONE
        assert transaction.fetch("select 1 as one", limit=1) == ONE
        refused = transaction.attempt("select nothing", limit=1, seconds=5)
        assert isinstance(refused, Refused)
        assert (refused.reason, refused.sqlstate) == (Reason.BAD_RESULT, "42703")


def test_it_stays_one_query_that_reads(session: psycopg.Connection[tuple[object, ...]]) -> None:
    with guarded(session, Deadline.after(20), _nothing) as transaction:
        for sql in ("select 1) as q; commit; select * from (select 1", "create table t ()", "select 1; select 2"):
            assert isinstance(transaction.attempt(sql, limit=1, seconds=5), Refused), sql
        assert transaction.fetch("select current_setting('transaction_read_only') as it", limit=1) == [{"it": "on"}]


def test_its_time_limit_is_its_own(session: psycopg.Connection[tuple[object, ...]]) -> None:
    with guarded(session, Deadline.after(20), _nothing) as transaction:
        started = time.monotonic()
        refused = transaction.attempt("select pg_sleep(15)", limit=1, seconds=0.2)
        assert isinstance(refused, Refused)
        assert refused.reason is Reason.TIMEOUT
        assert time.monotonic() - started < 10
        assert len(transaction.fetch("select pg_sleep(0.5)", limit=1)) == 1


def test_the_end_of_the_run_is_not_survived(session: psycopg.Connection[tuple[object, ...]]) -> None:
    with (
        pytest.raises(CheckError) as raised,
        guarded(session, Deadline.after(0.5), _nothing) as transaction,
    ):
        transaction.attempt("select pg_sleep(15)", limit=1, seconds=10)
    assert raised.value.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("function", "expected"), [("pg_cancel_backend", CheckError), ("pg_terminate_backend", ConnectionLost)]
)
def test_who_is_told_to_stop_stops(newest_pg: Postgres, function: str, expected: type[CheckError]) -> None:
    with newest_pg.connect() as session:
        pid = session.info.backend_pid

        def stop() -> None:
            running = "select state = 'active' and query like '%%pg_sleep(15)%%' from pg_stat_activity where pid = %s"
            eventually(lambda: newest_pg.sql(running, [pid])[0][0], what="the attempt runs")
            newest_pg.sql(f"select {function}(%s)", [pid])

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(expected), guarded(session, Deadline.after(20), _nothing) as transaction:
            transaction.attempt("select pg_sleep(15)", limit=1, seconds=18)
        thread.join()
