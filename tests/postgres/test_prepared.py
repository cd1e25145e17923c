"""What a session keeps planned: from the second time on, as safe as what is planned anew, bounded."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.postgres import prepared
from dbwatch.engines.postgres.guard import guarded
from dbwatch.engines.postgres.prepared import Prepared
from dbwatch.errors import CheckError
from dbwatch.model import RawRow
from tests.harness.postgres import Postgres

ONE = "select 1 as one"


@pytest.fixture
def session(end_pg: Postgres) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with end_pg.connect() as connection:
        yield connection


def ask(
    session: psycopg.Connection[tuple[object, ...]], sql: str, kept: Prepared | None, *, limit: int = 5
) -> list[RawRow]:
    with guarded(session, Deadline.after(20), lambda _: None, prepared=kept) as transaction:
        return list(transaction.fetch(sql, limit=limit))


def planned(session: psycopg.Connection[tuple[object, ...]]) -> int:
    row = session.execute(
        "select count(*) from pg_catalog.pg_prepared_statements where name like 'dbwatch%'"
    ).fetchone()
    assert row is not None
    return int(str(row[0]))


def test_a_query_that_comes_again_stays_planned_over_rollbacks(
    session: psycopg.Connection[tuple[object, ...]],
) -> None:
    kept = Prepared()
    counts = []
    for _ in range(4):
        assert ask(session, ONE, kept) == [{"one": 1}]
        counts.append(planned(session))
    assert counts == [0, 1, 1, 1]
    assert len(ask(session, "select * from generate_series(1, 9) as n", kept, limit=3)) == 3
    assert len(ask(session, "select * from generate_series(1, 9) as n", kept, limit=3)) == 3
    assert len(ask(session, "select * from generate_series(1, 9) as n", kept, limit=6)) == 6


def test_without_it_nothing_is_kept(session: psycopg.Connection[tuple[object, ...]]) -> None:
    for _ in range(3):
        ask(session, ONE, None)
    assert planned(session) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "select 1) as q; create table planted (); select * from (select 1",
        "select 1; select 2",
        "select 1) as q limit $1; commit; --",
        "with gone as (delete from pg_catalog.pg_description returning 1) select * from gone",
    ],
)
def test_it_stays_one_query_that_reads(session: psycopg.Connection[tuple[object, ...]], sql: str) -> None:
    kept = Prepared()
    for _ in range(3):
        with pytest.raises(CheckError):
            ask(session, sql, kept)
    assert planned(session) == 0
    assert session.execute("select to_regclass('public.planted')").fetchone() == (None,)
    assert ask(session, ONE, kept) == [{"one": 1}]


def test_a_plan_whose_columns_became_others_is_given_up(session: psycopg.Connection[tuple[object, ...]]) -> None:
    kept = Prepared()
    session.execute("drop view if exists public.seen")
    session.execute("create view public.seen as select 1 as a")
    sql = "select * from public.seen"
    for _ in range(2):
        assert ask(session, sql, kept) == [{"a": 1}]
    session.execute("drop view public.seen")
    session.execute("create view public.seen as select 1 as a, 'x'::text as b")
    with pytest.raises(CheckError):
        ask(session, sql, kept)
    for _ in range(3):
        assert ask(session, sql, kept) == [{"a": 1, "b": "x"}]
    session.execute("drop view public.seen")


def test_there_is_an_end_to_it(
    session: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "MOST_PREPARED", 3)
    kept = Prepared()
    for number in range(6):
        for _ in range(2):
            assert ask(session, f"select {number} as n", kept) == [{"n": number}]
    assert planned(session) == 3
