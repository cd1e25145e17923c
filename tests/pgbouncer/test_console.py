"""The console of a real PgBouncer as the product asks it: what it lets through, and what becomes of it in trouble."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.cli import main
from dbwatch.config import Target
from dbwatch.config.loader import target_from_url
from dbwatch.deadline import Deadline
from dbwatch.diagnose.ask import diagnose
from dbwatch.doctor.visit import visit
from dbwatch.engines.pgbouncer.adapter import PgBouncerAdapter
from dbwatch.engines.postgres.adapter import PostgresAdapter
from dbwatch.errors import CheckError, ConnectionLost, Skipped, TargetError
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.pgbouncer_stage import console_url
from tests.conftest import wanted_majors
from tests.harness.binaries import PGBOUNCER_KINDS, PgBouncerKind
from tests.harness.freeze import frozen
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually
from tests.render.bundled_files import catalogue

ADAPTER = PgBouncerAdapter()
OWN = """\
summary: Sockets of clients
group: tests
why: A test wants to know it.
command: SHOW POOLS
fields:
  {database: database, role: user, clients: cl_active, paused: {field: of_a_later_release, default: 0}, mode: pool_mode}
columns:
  database: {use: label}
  role: {use: label}
  clients: {use: gauge, metric: dbwatch_pgbouncer_test_clients, help: What it said.}
  paused: {use: detail}
  mode: {use: detail, type: text}
levels: {warning: clients > 1000}
key: [database, role]
message: "{clients}"
runbook: {meaning: m, impact: i, diagnosis: d, mitigation: m}
"""


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with Postgres(max(wanted_majors())) as server:
        server.create_monitor_role()
        yield server


@pytest.fixture(scope="module", params=PGBOUNCER_KINDS)
def pooler(request: pytest.FixtureRequest, pg: Postgres) -> Iterator[PgBouncer]:
    """As it comes, without the startup parameters that it would ignore; one pool in use."""
    with started(pg, request.param) as bouncer, bouncer.connect() as session:
        session.execute(b"select 1")
        yield bouncer


def started(pg: Postgres, kind: PgBouncerKind) -> PgBouncer:
    return PgBouncer(pg, kind=kind, ignore_startup_parameters="")


def target_of(pooler: PgBouncer, connect_timeout: float = 5.0) -> Target:
    return replace(target_from_url(console_url(pooler)), connect_timeout=connect_timeout)


def bundled_check(name: str) -> Check:
    return load_check(bundled("checks") / "pgbouncer" / f"pgbouncer_{name}.yaml", Engine.PGBOUNCER)


def test_only_shows_reach_it(pooler: PgBouncer) -> None:
    session = ADAPTER.connect(target_of(pooler), Deadline.after(20))
    try:
        session.refresh(Deadline.after(20))
        for words in ("PAUSE", "SHUTDOWN", "SHOW FDS", "SHOW POOLS; PAUSE", "SET x = 1", "KILL postgres"):
            with pytest.raises(CheckError, match="does not send"):
                session.look(words, Deadline.after(20), limit=1)
        assert session.look("show pools;", Deadline.after(20), limit=9).columns[:2] == ("database", "user")
        assert not session.closed
    finally:
        session.close()


def test_a_show_that_it_does_not_have_ends_nothing(pooler: PgBouncer) -> None:
    session = ADAPTER.connect(target_of(pooler), Deadline.after(20))
    try:
        session.refresh(Deadline.after(20))
        if pooler.sql("SHOW VERSION", dbname="pgbouncer") == [("PgBouncer 1.18.0",)]:
            with pytest.raises(Skipped) as caught:
                session.look("SHOW PEERS", Deadline.after(20), limit=1)
            assert caught.value.reason is Reason.VERSION
        assert session.measure(bundled_check("pool_saturated"), Deadline.after(20)).rows
    finally:
        session.close()


def test_a_check_of_ones_own_needs_no_more_than_names_of_columns(pooler: PgBouncer, tmp_path: Path) -> None:
    path = tmp_path / "pgbouncer" / "sockets.yaml"
    path.parent.mkdir()
    path.write_text(OWN)
    session = ADAPTER.connect(target_of(pooler), Deadline.after(20))
    try:
        (row,) = session.measure(load_check(path, Engine.PGBOUNCER), Deadline.after(20)).rows
    finally:
        session.close()
    assert row == {"database": "postgres", "role": "postgres", "clients": 1.0, "paused": 0.0, "mode": "transaction"}


def test_every_question_of_every_runbook_is_answered(pooler: PgBouncer) -> None:
    watchdog = Watchdog()
    try:
        replies = [
            reply
            for check in catalogue().of(Engine.PGBOUNCER)
            for reply in diagnose(check, target_of(pooler), ADAPTER, watchdog)
            if reply.question.sent is not None
        ]
    finally:
        watchdog.close()
    assert len(replies) > 20
    failed = {reply.question.sent: reply.error.reason for reply in replies if reply.error is not None}
    assert failed in ({}, {"SHOW STATE": Reason.VERSION}), failed


def test_the_doctor_misses_nothing_of_a_user_who_may_only_look(pooler: PgBouncer) -> None:
    watchdog = Watchdog()
    try:
        diagnosis = visit(target_of(pooler), catalogue(), ADAPTER, watchdog, None)
    finally:
        watchdog.close()
    assert diagnosis.error is None
    assert diagnosis.exit_code == 0, [(one.check.name, one.message) for one in diagnosis.checks if one.missing]
    assert diagnosis.platform.product == "PgBouncer"


def test_a_user_of_neither_list_is_told_so_and_how_to_mend_it(
    pooler: PgBouncer, capsys: pytest.CaptureFixture[str]
) -> None:
    pooler.settings["stats_users"] = "somebody_else"
    pooler.reload()
    try:
        with pytest.raises(TargetError, match="in neither stats_users nor admin_users") as caught:
            ADAPTER.connect(target_of(pooler), Deadline.after(20))
        assert (caught.value.reason, caught.value.phase) == (Reason.AUTH, "auth")
        assert main(["check", console_url(pooler)]) == 3
        assert "stats_users" in capsys.readouterr().out
        assert main(["grants", "--engine", "pgbouncer"]) == 0
        assert "\nstats_users = dbwatch\n" in capsys.readouterr().out
    finally:
        pooler.settings["stats_users"] = "dbwatch"
        pooler.reload()


def test_a_server_that_is_no_pooler(pg: Postgres) -> None:
    pg.create_database("pgbouncer")
    target = target_from_url(pg.url("dbwatch", "pgbouncer").replace("postgresql://", "pgbouncer://"))
    (row,) = ADAPTER.reach(target, Deadline.after(20)).rows
    assert row["up"] is False
    assert 'parameter "version": a PostgreSQL answers there, and not PgBouncer' in str(row["message"])
    session = ADAPTER.connect(target, Deadline.after(20))
    with pytest.raises(CheckError):
        session.refresh(Deadline.after(20))
    session.close()


def test_a_console_that_was_taken_for_a_database(pooler: PgBouncer) -> None:
    target = target_from_url(pooler.url("dbwatch", "pgbouncer"))
    (row,) = PostgresAdapter().reach(target, Deadline.after(20)).rows
    assert row["up"] is False
    assert "the console of a PgBouncer answers there" in str(row["message"])


def test_a_remedy_is_for_the_console_and_not_for_the_pools_database(
    pooler: PgBouncer, capsys: pytest.CaptureFixture[str]
) -> None:
    pooler.sql("DISABLE postgres", dbname="pgbouncer")
    try:
        main(["check", console_url(pooler), "--check", "pgbouncer_database_paused", "--sample", "0"])
    finally:
        pooler.sql("ENABLE postgres", dbname="pgbouncer")
    assert 'fix: ENABLE "postgres";\n' in capsys.readouterr().out


def test_trouble_in_turn(pg: Postgres) -> None:
    """RECONNECT, SUSPEND, a freeze, a restart, the end: the held connection tells each as it is, and comes back."""
    watchdog, store = Watchdog(), Store()
    check = replace(bundled_check("pool_saturated"), timeout=1.0)
    with started(pg, "pgbouncer") as pooler:
        lane = Lane(target_of(pooler, connect_timeout=1.0), ADAPTER, [check], store, watchdog)
        look = partial(lane.run, check.name)

        def is_well() -> bool:
            return look().status is Status.OK

        try:
            assert eventually(is_well)
            with pooler.connect(dbname="pgbouncer") as admin:
                admin.execute(b"RECONNECT")
                assert eventually(is_well)
                admin.execute(b"SUSPEND")  # takes nobody, and answers whom it has
                assert eventually(is_well)
                (row,) = ADAPTER.reach(lane.target, Deadline.after(1)).rows
                assert (row["up"], row["reason"]) == (False, "timeout")
                admin.execute(b"RESUME")
            with frozen(pooler.pid):
                hung = look()
                assert (hung.status, hung.reason) == (Status.UNKNOWN, Reason.TIMEOUT), hung
            assert eventually(is_well)
            pooler.stop()
            gone = look()
            assert (gone.status, gone.reason) == (Status.UNKNOWN, Reason.REFUSED), gone
            pooler.start()
            assert eventually(is_well)
        finally:
            lane.close()
            watchdog.close()


def test_a_connection_that_dies_under_a_check_is_lost_and_not_a_failed_show(pg: Postgres) -> None:
    with started(pg, "pgbouncer-newest") as pooler:
        session = ADAPTER.connect(target_of(pooler), Deadline.after(20))
        session.refresh(Deadline.after(20))
        assert not session.lost
        pooler.stop()
        with pytest.raises(ConnectionLost):
            session.measure(bundled_check("pool_saturated"), Deadline.after(20))
        assert session.closed
        session.close()


def test_it_is_let_in_and_counted_when_all_client_connections_are_taken(pg: Postgres) -> None:
    with PgBouncer(pg, max_client_conn=2) as pooler, pooler.connect(), pooler.connect():
        with pytest.raises(psycopg.OperationalError, match="max_client_conn"):
            pooler.connect()
        session = ADAPTER.connect(target_of(pooler), Deadline.after(20))
        session.refresh(Deadline.after(20))
        (row,) = session.measure(bundled_check("clients_saturated"), Deadline.after(20)).rows
        session.close()
    assert row == {"clients": 3.0, "max_clients": 2.0}
