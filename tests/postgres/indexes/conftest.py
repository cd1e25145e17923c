"""One database a major with every index set and every foreign key, each in a schema of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psycopg
import pytest

from tests.conftest import wanted_majors
from tests.harness.postgres import Postgres
from tests.harness.sessions import identifier
from tests.postgres.indexes.foreign_keys import FOREIGN_KEYS, PARENTS, ForeignKey
from tests.postgres.indexes.index_pairs import INDEX_SETS, TABLE, IndexSet

DATABASE = 'index "conformance" Ü'


@dataclass(frozen=True, slots=True)
class Exhibits:
    """The server, and the sets that its major knows."""

    server: Postgres
    index_sets: tuple[IndexSet, ...]
    foreign_keys: tuple[ForeignKey, ...]


@pytest.fixture(scope="package", params=wanted_majors(), ids=lambda major: f"pg{major}")
def exhibits(request: pytest.FixtureRequest, postgres: Callable[[int], Postgres]) -> Iterator[Exhibits]:
    server = postgres(request.param)
    server.create_monitor_role()
    server.create_database(DATABASE)
    found = Exhibits(
        server,
        tuple(one for one in INDEX_SETS if one.min_major <= server.major),
        tuple(one for one in FOREIGN_KEYS if one.min_major <= server.major),
    )
    with server.connect(dbname=DATABASE) as session:
        session.execute("set synchronous_commit = off")
        session.execute("set client_min_messages = error")
        for pair in found.index_sets:
            _build(session, pair.schema, (TABLE, *pair.steps))
        for key in found.foreign_keys:
            _build(session, key.schema, (*PARENTS, *key.steps))
        for step in ("create temp table t (a int)", "create index i1 on t (a)", "create index i2 on t (a)"):
            session.execute(step.encode())
        yield found
    server.drop_database(DATABASE)


def _build(session: psycopg.Connection[tuple[object, ...]], schema: str, steps: tuple[str, ...]) -> None:
    session.execute(f"create schema {identifier(schema)}".encode())
    session.execute(f"set search_path = {identifier(schema)}, public".encode())
    for step in steps:
        session.execute(step.encode())
    session.execute(b"set search_path = public")
