"""The connect probe against real servers: what counts as an answer."""

from __future__ import annotations

from dbwatch.config import zero_config
from dbwatch.deadline import Deadline
from dbwatch.engines.postgres.adapter import PostgresAdapter
from tests.harness.postgres import Postgres


def test_a_role_with_a_time_limit_of_next_to_nothing_gets_an_answer(pg: Postgres) -> None:
    """A statement that the server cancels has been answered: it is no outage."""
    url = pg.create_monitor_role("hurried")
    pg.sql("alter role hurried set statement_timeout = '1ms'")
    (target,) = zero_config([url]).targets
    for _ in range(100):
        (row,) = PostgresAdapter().reach(target, Deadline.after(5)).rows
        assert row["up"] is True, row
