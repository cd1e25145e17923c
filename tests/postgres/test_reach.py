"""The connect probe against real servers: what counts as an answer."""

from __future__ import annotations

import pytest

from dbwatch.config.loader import target_from_url
from dbwatch.deadline import Deadline
from dbwatch.engines.libpq import connect
from dbwatch.engines.postgres.adapter import PostgresAdapter
from tests.harness.postgres import Postgres


@pytest.fixture(autouse=True)
def the_smallest_query_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine even `select 1` takes more than a millisecond now and then; here it always does."""
    monkeypatch.setattr(connect, "SMALLEST_QUERY", b"select pg_sleep(15)")


def test_a_role_with_a_time_limit_of_next_to_nothing_gets_an_answer(pg: Postgres) -> None:
    """A statement that the server cancels has been answered: it is no outage."""
    url = pg.create_monitor_role("hurried")
    pg.sql("alter role hurried set statement_timeout = '1ms'")
    target = target_from_url(url)
    (row,) = PostgresAdapter().reach(target, Deadline.after(14)).rows
    assert row["up"] is True, row


def test_a_query_that_outlives_the_deadline_is_no_answer(newest_pg: Postgres) -> None:
    target = target_from_url(newest_pg.url())
    (row,) = PostgresAdapter().reach(target, Deadline.after(1.5)).rows
    assert (row["up"], row["reason"], row["phase"]) == (False, "timeout", "query")
