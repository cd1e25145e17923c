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
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres

ONE = "select 1 as one"


@pytest.fixture
def session(end_pg: Postgres) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with end_pg.connect() as connection:
        yield connection


def ask(
    session: psycopg.Connection[tuple[object, ...]], sql: str, kept: Prepared | None, *, limit: int = 5
) -> list[RawRow]:
    with guarded(session, Deadline.after(20), lambda _: None, prepared=kept, kept_as="its/check") as transaction:
        return list(transaction.fetch(sql, limit=limit))


def planned(session: psycopg.Connection[tuple[object, ...]]) -> int:
    """How many questions are; the beginning of the transaction is not one."""
    return len(statements(session, "%limit $1"))


def statements(session: psycopg.Connection[tuple[object, ...]], like: str = "%") -> list[tuple[object, ...]]:
    return session.execute(
        "select name from pg_catalog.pg_prepared_statements where name like 'dbwatch%%' and statement like %s",
        [like],
    ).fetchall()


def test_a_query_that_comes_again_stays_planned_over_rollbacks(
    session: psycopg.Connection[tuple[object, ...]],
) -> None:
    kept = Prepared()
    counts = []
    for _ in range(4):
        assert ask(session, ONE, kept) == [{"one": 1}]
        counts.append(planned(session))
    assert counts == [0, 1, 1, 1]
    ((name,),) = statements(session, "%limit $1")
    assert str(name).startswith("dbwatch_its_check_"), "whoever looks at the server's activity sees which check it is"
    with guarded(session, Deadline.after(20), lambda _: None, prepared=kept, kept_as="its/check") as transaction:
        assert transaction.fetch("select 2 as two", limit=1, is_fixed=True) == [{"two": 2}]
    assert planned(session) == 2
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


def test_the_beginning_stays_planned_and_brings_its_limits(session: psycopg.Connection[tuple[object, ...]]) -> None:
    kept = Prepared()
    names = ("search_path", "lock_timeout", "jit", "statement_timeout")
    limits = f"select name, setting from pg_settings where name in {names}"
    before = session.execute(limits).fetchall()
    held = []
    for remaining in (20, 15, 10):
        with guarded(
            session,
            Deadline.after(remaining),
            lambda _: None,
            with_position=True,
            privilege="pg_monitor",
            prepared=kept,
        ) as transaction:
            assert transaction.flushed_lsn
            assert transaction.is_privileged
            assert not transaction.in_recovery
            found = {row["name"]: row["setting"] for row in transaction.fetch(limits, limit=9)}
        statement_timeout = int(str(found.pop("statement_timeout")))
        assert 1_000 * (remaining - 5) < statement_timeout < 1_000 * remaining
        assert found == {"search_path": "pg_catalog", "lock_timeout": "200", "jit": "off"}
        held.append(len(statements(session, "%set_config(%")))
    assert held == [0, 1, 1]
    assert session.execute(limits).fetchall() == before


def test_a_beginning_that_was_taken_away_costs_no_run(session: psycopg.Connection[tuple[object, ...]]) -> None:
    kept = Prepared()
    for _ in range(3):
        assert ask(session, ONE, kept) == [{"one": 1}]
    session.execute("deallocate all")
    with guarded(session, Deadline.after(20), lambda _: None, prepared=kept) as transaction:
        assert transaction.fetch(ONE, limit=1) == [{"one": 1}]
        (setting,) = transaction.fetch("select current_setting('search_path') as it", limit=1)
    assert setting == {"it": "pg_catalog"}
    assert statements(session) == []


def test_behind_a_pooler_nothing_is_prepared(newest_pg: Postgres) -> None:
    kept = Prepared()
    with PgBouncer(newest_pg, default_pool_size=1) as bouncer, bouncer.connect() as session:
        for _ in range(3):
            assert ask(session, ONE, kept) == [{"one": 1}]
        assert statements(session) == []


def test_there_is_an_end_to_it(
    session: psycopg.Connection[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "MOST_PREPARED", 3)
    kept = Prepared()
    for number in range(6):
        for _ in range(2):
            assert ask(session, f"select {number} as n", kept) == [{"n": number}]
    assert len(statements(session)) == 3
