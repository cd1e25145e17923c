"""Owns setting a PostgreSQL stage for a case: server, database, role, sessions, faults; and clearing it afterwards."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakSet

import psycopg
import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.schema import Scope
from dbwatch.config.loader import target_from_url
from dbwatch.model import Outcome
from tests.checks.asking import ask, with_extras
from tests.checks.backup_stage import write_files
from tests.checks.cases import Expect, PostgresCase, PostgresServer, SessionStep
from tests.checks.damage import inflict
from tests.harness.binaries import postgres_client
from tests.harness.cluster import give_to_server_user
from tests.harness.freeze import frozen_tree
from tests.harness.postgres import Postgres
from tests.harness.process import run_as_server_user
from tests.harness.sessions import identifier
from tests.harness.waiting import eventually

_SHARED_DATABASE = 'case "0"'
_with_shared_database: WeakSet[Postgres] = WeakSet()
_RUNS = "select state = 'active' from pg_stat_activity where pid = %s"
_WAITS = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"


class Servers(Protocol):
    """The servers a session of tests shares."""

    def shared(self, major: int) -> Postgres: ...

    def pair(self, major: int) -> tuple[Postgres, Postgres]: ...


class Stage:
    """One case on its way: the names it may use, and what has to be cleared."""

    def __init__(self, case: PostgresCase, checked: Postgres, primary: Postgres, database: str) -> None:
        self.case = case
        self.checked = checked
        self.primary = primary
        self.database = database
        self._pids: dict[str, int] = {}

    def filled(self, text: str) -> str:
        for name, pid in self._pids.items():
            text = text.replace(f"{{pid:{name}}}", str(pid))
        return text.replace("{database}", self.database)

    def pattern(self, text: str) -> str:
        return self.filled(text.replace("{database}", re.escape(self.database)))

    def execute(self, texts: Sequence[str], server: Postgres | None = None) -> None:
        for text in texts:
            (server or self.primary).sql(self.filled(text), dbname=self.database)

    def clear(self, texts: Sequence[str]) -> None:
        """As `execute`, patient with sessions that have left and whose temporary tables are still being dropped."""
        for text in texts:
            eventually(lambda text=text: self._cleared(text), what=text)  # type: ignore[misc]

    def _cleared(self, text: str) -> bool:
        try:
            self.execute([text])
        except psycopg.InternalError:
            return False
        return True

    def wait(self, question: str | None) -> None:
        if question is None:
            return
        text = self.filled(question)
        eventually(
            lambda: (rows := self.checked.sql(text, dbname=self.database)) and rows[0][0],
            timeout=20,
            ignoring=psycopg.OperationalError,
            what=text,
        )

    def between(self) -> None:
        self.execute(self.case.between)
        self.wait(self.case.between_until)

    def expected(self) -> Expect:
        return Expect.model_validate(_filled(self.case.expect.model_dump(mode="json"), self.pattern))

    @contextmanager
    def session(self, step: SessionStep) -> Iterator[None]:
        if step.replication:
            with self._replication(step):
                yield
            return
        session = self.checked.connect(step.user, self.database, application_name=self.filled(step.application_name))
        pid = session.info.backend_pid
        self._pids[step.name] = pid
        statements = [self.filled(text).encode() for text in step.sql]
        last = statements.pop() if step.blocks or step.runs or step.fails else None
        waiting: threading.Thread | None = None
        try:
            for statement in statements:
                session.execute(statement)
            if last is not None and step.fails:
                with pytest.raises(psycopg.Error):
                    session.execute(last)
            elif last is not None:
                waiting = threading.Thread(target=_run_until_ended, args=(session, last), daemon=True)
                waiting.start()
                asked = _WAITS if step.blocks else _RUNS
                eventually(
                    lambda: (rows := self.checked.sql(asked, [pid])) and rows[0][0],
                    what=f"session {step.name} {'waits for a lock' if step.blocks else 'runs'}",
                )
            yield
        finally:
            if waiting is not None:
                self.checked.sql("select pg_terminate_backend(%s)", [pid])
                waiting.join(10)
            session.close()

    @contextmanager
    def _replication(self, step: SessionStep) -> Iterator[None]:
        params = {"replication": "true", "application_name": step.application_name}
        pgconn = psycopg.pq.PGconn.connect(self.checked.url(step.user, **params).encode())
        try:
            assert pgconn.status == psycopg.pq.ConnStatus.OK, pgconn.get_error_message()
            position = "case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end"
            ((lsn,),) = self.checked.sql(f"select ({position})::text")
            *answered, command = [text.replace("{lsn}", lsn) for text in step.sql]
            for text in answered:
                assert not pgconn.exec_(text.encode()).error_message, text
            pgconn.send_query(command.encode())
            yield
        finally:
            pgconn.finish()


def _run_until_ended(session: psycopg.Connection[Any], statement: bytes) -> None:
    try:
        session.execute(statement)
    except psycopg.Error:
        return  # the end of the case ended it


def _filled(node: Any, fill: Callable[[str], str]) -> Any:
    if isinstance(node, str):
        return fill(node)
    if isinstance(node, list | tuple):
        return [_filled(item, fill) for item in node]
    if isinstance(node, dict):
        return {fill(name): _filled(value, fill) for name, value in node.items()}
    return node


def run_case(
    check: Check, case: PostgresCase, major: int, servers: Servers, database: str, folder: Path
) -> tuple[Outcome, Expect]:
    """Set the stage, ask the check, and clear the stage whatever happened."""
    with ExitStack() as stack:
        primary, standby = _servers(case, major, servers, stack)
        checked = standby if case.role == "standby" and standby is not None else primary
        database = _database(case, primary, database, stack)
        stage = Stage(case, checked, primary, database)
        for user in {step.user for step in case.sessions} - {"postgres"}:
            if not primary.sql("select 1 from pg_roles where rolname = %s", [user]):
                primary.sql(f"create role {identifier(user)} login")
        primary.create_monitor_role(grants=case.monitor.grants)
        write_files(folder, case.files)
        stack.callback(stage.clear, case.teardown)
        stage.execute(case.setup)
        if standby is not None:
            primary.wait_caught_up(standby)
            stack.callback(stage.execute, case.standby_teardown, standby)
            stage.execute(case.standby_setup, standby)
        if case.restart is not None:
            checked.restart(case.restart)
        if case.promote:
            checked.promote()
        if case.corrupt:
            inflict(checked, database, case.corrupt)
        for step in case.sessions:
            stack.enter_context(stage.session(step))
        stage.wait(case.wait_until)
        target = target_from_url(checked.url("dbwatch", database))
        if check.scope is Scope.DATABASE:
            target = replace(target, include_databases=(database,))
        target = with_extras(target, case, folder)
        _befall(case, checked, stack)
        return ask(target, check, case, stage.between), stage.expected()


def _database(case: PostgresCase, primary: Postgres, name: str, stack: ExitStack) -> str:
    """A new database, dropped after the case; cases that leave nothing in it share one, since dropping is dear."""
    if case.setup or case.standby_setup or case.between:
        stack.callback(primary.drop_database, name)
        # Copying the files takes half as long as writing them through the log, which is the default from 15 on.
        return primary.create_database(name, options="strategy file_copy" if primary.major >= 15 else "")
    if primary not in _with_shared_database:
        primary.create_database(_SHARED_DATABASE)
        _with_shared_database.add(primary)
    return _SHARED_DATABASE


def _servers(case: PostgresCase, major: int, servers: Servers, stack: ExitStack) -> tuple[Postgres, Postgres | None]:
    """The primary, and its standby when the case has one. What breaks a server is done to one of the case's own."""
    wants_standby = case.standby or case.role == "standby"
    alone = case.server or case.fault or case.restart or case.promote or case.next_xid or case.corrupt
    if not alone:
        return servers.pair(major) if wants_standby else (servers.shared(major), None)
    wanted = case.server or PostgresServer()
    primary = stack.enter_context(Postgres(major, settings=wanted.settings, initdb=wanted.initdb))
    if case.next_xid is not None:
        _advance(primary, case.next_xid)
    return primary, primary.standby() if wants_standby else None


def _advance(server: Postgres, xid: int) -> None:
    """Let the server have run that many transactions: pg_resetwal, and the commit log the counter then points into."""
    server.stop()
    program = postgres_client("pg_resetwal")
    run_as_server_user([program, "-x", str(xid), "-D", server.data], what="pg_resetwal")
    segment = server.data / "pg_xact" / f"{xid // (32 * 32768):04X}"
    segment.write_bytes(bytes(32 * 8192))
    give_to_server_user(server.data / "pg_xact")
    server.start()


def _befall(case: PostgresCase, server: Postgres, stack: ExitStack) -> None:
    fault = case.fault
    if fault is None:
        return
    if fault.stop:
        server.stop("immediate")
        # Clearing the stage needs the server again.
        stack.callback(server.start)
    if fault.freeze:
        stack.enter_context(frozen_tree(server.postmaster_pid))
    if fault.starting:
        server.stop()
        (server.data / "standby.signal").touch()
        server.settings["hot_standby"] = "off"
        server.start(wait=False)
        eventually(lambda: "not accepting" in _refusal(server), what="the server refuses, starting")

        def recover() -> None:
            server.stop("immediate")
            (server.data / "standby.signal").unlink()
            server.settings["hot_standby"] = "on"
            server.start()

        stack.callback(recover)


def _refusal(server: Postgres) -> str:
    try:
        server.connect(connect_timeout=2).close()
    except psycopg.OperationalError as error:
        return str(error)
    return ""
