"""Which databases of a server are looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbwatch.config.loader import target_from_url
from dbwatch.deadline import Deadline
from dbwatch.engines.postgres.adapter import PostgresAdapter
from tests.harness.postgres import Postgres

_CLOSED = 'closed "to" all but superusers'


@pytest.fixture
def closed(newest_pg: Postgres) -> Iterator[Postgres]:
    newest_pg.create_database(_CLOSED, options="connection limit 0")
    yield newest_pg
    newest_pg.drop_database(_CLOSED)


def test_a_database_whose_limit_is_0_is_looked_at_by_superusers_alone(closed: Postgres) -> None:
    monitor = closed.create_monitor_role()
    assert _CLOSED not in _databases(monitor)
    assert _CLOSED in _databases(closed.url())


def _databases(url: str) -> tuple[str, ...]:
    deadline = Deadline.after(20)
    session = PostgresAdapter().connect(target_from_url(url), deadline)
    try:
        session.refresh(deadline)
        return session.facts.databases
    finally:
        session.close()
