"""What the per-table collectors do when a table is locked: they wait for nobody, and it has no size for the time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest

from dbwatch.model import Row
from tests.compat.collecting import collected
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

COUNTERS, SIZES = "stat_user_tables", "stat_user_tables_size"


@pytest.fixture
def tables(newest_pg: Postgres) -> Iterator[str]:
    """A database with a table to lock and another."""
    name = newest_pg.create_database("compat_locks")
    for table in ("held", "free"):
        newest_pg.sql(f"create table {table} (id int primary key)", dbname=name)
        newest_pg.sql(f"insert into {table} select generate_series(1, 1000)", dbname=name)
    yield name
    newest_pg.drop_database(name)


def rows_of(server: Postgres, name: str, database: str) -> dict[str, Row]:
    """The collector's rows by table."""
    outcome = collected(server, name, database)
    assert outcome.answered, outcome.summary
    return {row.labels["relname"]: row for row in outcome.rows}


def test_a_locked_table_has_counters_and_no_size(newest_pg: Postgres, tables: str) -> None:
    with newest_pg.connect(dbname=tables) as session:
        session.execute("begin")
        session.execute("lock table held in access exclusive mode")
        counters, rows = rows_of(newest_pg, COUNTERS, tables), rows_of(newest_pg, SIZES, tables)
    assert counters["held"].values["n_tup_ins"] == 1000
    assert rows["held"].values["table_bytes"] is None
    assert rows["held"].values["index_bytes"] is None
    assert (rows["free"].values["table_bytes"] or 0) > 0
    assert (rows["free"].values["size_bytes"] or 0) > (rows["free"].values["table_bytes"] or 0)


def test_a_lock_that_is_only_asked_for_counts_as_well(newest_pg: Postgres, tables: str) -> None:
    """Whoever comes after the one that waits has to wait too."""
    with newest_pg.connect(dbname=tables) as reader, newest_pg.connect(dbname=tables) as waiting:
        reader.execute("begin")
        reader.execute("select from held limit 1")
        waiting.execute("begin")
        thread = threading.Thread(target=_locking, args=(waiting,))
        thread.start()
        eventually(lambda: newest_pg.sql("select from pg_locks where not granted"), what="somebody waits")
        rows = rows_of(newest_pg, SIZES, tables)
        waiting.cancel_safe()
        thread.join(20)
    assert rows["held"].values["table_bytes"] is None
    assert rows["free"].values["table_bytes"] is not None


def _locking(session: psycopg.Connection[tuple[object, ...]]) -> None:
    with pytest.raises(psycopg.errors.QueryCanceled):
        session.execute("lock table held in access exclusive mode")
