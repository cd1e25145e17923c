"""Owns setting a PgBouncer stage for a case: settings, clients that hold, wait or rush, the admin's words, faults."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import psycopg

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.config.loader import target_from_url
from dbwatch.model import Engine, Outcome
from tests.checks.asking import ask, with_extras
from tests.checks.cases import Expect, PgBouncerCase, PgBouncerClients, PgBouncerWait
from tests.harness import ports
from tests.harness.binaries import PgBouncerKind
from tests.harness.freeze import frozen
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.sessions import Row, identifier
from tests.harness.waiting import eventually

DATABASE = 'pooled "db"'
WEIRD_ROLE = 'we"ird.role'
_READY_SECONDS = 30.0
_AGAIN_SECONDS = 0.02


def prepare(pg: Postgres) -> None:
    """What all cases find in their PostgreSQL."""
    pg.create_database(DATABASE)
    pg.create_monitor_role()
    pg.sql(f"CREATE ROLE {identifier(WEIRD_ROLE)} LOGIN")


def console_url(pooler: PgBouncer, user: str = "dbwatch", password: str | None = None) -> str:
    return pooler.url(user, "pgbouncer", password).replace("postgresql://", "pgbouncer://", 1)


def run_case(check: Check, case: PgBouncerCase, kind: PgBouncerKind, pg: Postgres) -> tuple[Outcome, Expect]:
    """Set the stage, ask the check, and clear the stage whatever happened."""
    with ExitStack() as stack:
        dead = ports.claim()
        stack.callback(dead.release)
        places = {"{port}": str(pg.port), "{dead_port}": str(dead.number)}
        crowd = stack.enter_context(_crowd())
        pooler = _pooler(case, kind, pg, places)
        if case.socket:
            pooler.settings["unix_socket_dir"] = str(pooler.dir)
        stack.enter_context(pooler)
        crowd.send(pooler, case.clients)
        crowd.settle()
        if case.commit:
            crowd.commit()
        for words in case.console:
            pooler.sql(words, dbname="pgbouncer")
        crowd.send(pooler, case.late_clients)
        _wait(pooler, case.wait_until)
        target = _target(case, pooler)
        if case.fault is not None and case.fault.freeze:
            stack.enter_context(frozen(pooler.pid))
        if case.fault is not None and case.fault.stop:
            pooler.stop()
        return ask(target, check, case, lambda: _rush(pooler, case.rush)), case.expect


def _pooler(case: PgBouncerCase, kind: PgBouncerKind, pg: Postgres, places: Mapping[str, str]) -> PgBouncer:
    databases = case.databases
    for name, value in places.items():
        databases = databases.replace(name, value) if databases is not None else None
    pooler = PgBouncer(pg, databases=databases, kind=kind, passwords=case.passwords, open_files=case.open_files)
    pooler.settings |= case.settings
    return pooler


def _target(case: PgBouncerCase, pooler: PgBouncer) -> Target:
    target = target_from_url(console_url(pooler, case.monitor.user, case.monitor.password))
    assert target.engine is Engine.PGBOUNCER
    target = with_extras(target, case, pooler.dir)
    return replace(target, host=str(pooler.dir)) if case.socket else target


def _wait(pooler: PgBouncer, wanted: Sequence[PgBouncerWait]) -> None:
    for wait in wanted:
        eventually(
            partial(_holds, pooler, wait),
            timeout=_READY_SECONDS,
            every=0.02,
            what=f"{wait.show} has {wait.column} >= {wait.least:g}",
        )


def _holds(pooler: PgBouncer, wait: PgBouncerWait) -> bool:
    with pooler.connect(dbname="pgbouncer") as session:
        session.prepare_threshold = None
        cursor = session.execute(wait.show.encode())
        names = [column.name for column in cursor.description or ()]
        return any(float(row[names.index(wait.column)] or 0) >= wait.least for row in cursor.fetchall())


class _Crowd:
    """Clients in threads: a login through a pooler may wait as long as a query does. Who is refused comes again."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._sessions: list[psycopg.Connection[Row]] = []
        self._over = threading.Event()

    def send(self, pooler: PgBouncer, groups: Sequence[PgBouncerClients]) -> None:
        for group in groups:
            for _ in range(group.count):
                thread = threading.Thread(target=self._stay, args=(pooler, group), daemon=True)
                thread.start()
                self._threads.append(thread)

    def settle(self) -> None:
        """Wait until all have done what they had to do."""
        for thread in self._threads:
            thread.join(_READY_SECONDS)
            assert not thread.is_alive(), "a client has not come through; one that may wait is a late one"

    def commit(self) -> None:
        """They end their transactions, and stay."""
        for session in self._sessions:
            session.execute(b"commit")

    def leave(self) -> None:
        """Their PgBouncer is gone, so nobody waits any more; or all have come through."""
        self._over.set()
        for thread in self._threads:
            thread.join(_READY_SECONDS)
        for session in self._sessions:
            session.close()

    def _stay(self, pooler: PgBouncer, group: PgBouncerClients) -> None:
        while True:
            try:
                session = pooler.connect(group.user, DATABASE)
            except psycopg.Error:
                if self._over.wait(_AGAIN_SECONDS):
                    return
                continue
            self._sessions.append(session)
            session.prepare_threshold = None
            with contextlib.suppress(psycopg.Error):
                for statement in group.sql:
                    session.execute(statement.encode())
            return


@contextmanager
def _crowd() -> Iterator[_Crowd]:
    crowd = _Crowd()
    try:
        yield crowd
    finally:
        crowd.leave()


def _rush(pooler: PgBouncer, group: PgBouncerClients | None) -> None:
    """They all come at once, and are gone when this returns."""
    if group is None:
        return
    crowd = _Crowd()
    crowd.send(pooler, [group])
    crowd.leave()
