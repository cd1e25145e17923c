"""Operational faults made for real, all at the same time, on a handful of servers. Nothing here is simulated."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.harness.binaries import WHEEL_MAJOR, postgres_client
from tests.harness.cluster import give_to_server_user
from tests.harness.postgres import Postgres
from tests.harness.process import run_as_server_user
from tests.harness.waiting import eventually

SHOP = 'Laden "1"'
POOL = 22
GONE = 'GHOST "1"'
XID = 1_550_000_000
"""72 % of all transaction ids: beyond the critical level, before the failsafe that lets vacuum forget its manners."""

LOADED = {
    "max_connections": "34",
    "max_prepared_transactions": "5",
    "archive_mode": "on",
    "archive_command": "test -d /nowhere/at/all",
    "max_slot_wal_keep_size": "16MB",
    "deadlock_timeout": "100ms",
    "shared_preload_libraries": "pg_stat_statements",
    "track_io_timing": "on",
    "track_wal_io_timing": "on",
}
BURNT = {"autovacuum_max_workers": "1", "autovacuum_vacuum_cost_delay": "100ms", "autovacuum_vacuum_cost_limit": "1"}

_ROLES = """
CREATE ROLE hog LOGIN CONNECTION LIMIT 23;
CREATE ROLE "dr.eamer" LOGIN;
CREATE ROLE failer LOGIN;
CREATE ROLE root_cause LOGIN;
CREATE ROLE waiting LOGIN;
CREATE ROLE analyst LOGIN;
"""
_TABLES = """
CREATE TABLE stock (id int PRIMARY KEY, n int);
INSERT INTO stock SELECT g, g FROM generate_series(1, 10) AS g;
CREATE TABLE "Churned Table" (id int PRIMARY KEY, v text) WITH (autovacuum_enabled = false);
INSERT INTO "Churned Table" SELECT g, repeat('x', 50) FROM generate_series(1, 20000) AS g;
DELETE FROM "Churned Table" WHERE id % 4 > 0;
CREATE TABLE numbered (id serial PRIMARY KEY, v int);
SELECT setval('numbered_id_seq', 2100000000);
CREATE TABLE twins (v int);
INSERT INTO twins VALUES (1), (1);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""


@dataclass(frozen=True, slots=True)
class Misfortune:
    """The servers by what befell them. `burnt` is None where pg_resetwal of that major is not at hand."""

    loaded: Postgres
    corrupt: Postgres
    burnt: Postgres | None
    lonely: Postgres
    standby: Postgres
    gone: Postgres
    idler: psycopg.Connection[Any]


@contextmanager
def befallen(major: int) -> Iterator[Misfortune]:
    """Everything of `Misfortune`, as long as the block lasts."""
    # The servers end first: a session that waits for another would not end by itself.
    with ExitStack() as clients, ExitStack() as stack:
        loaded = stack.enter_context(Postgres(major, settings=LOADED))
        idler = _load(loaded, clients)
        corrupt = stack.enter_context(Postgres(major, initdb=("--data-checksums",)))
        _corrupt(corrupt)
        burnt = _burnt(major, stack)
        lonely = stack.enter_context(Postgres(major))
        standby = _leave_alone(lonely, clients)
        gone = stack.enter_context(Postgres(major))
        for server in (loaded, corrupt, burnt, gone):
            if server is not None:
                # Where a sequence stands is shown to those who may read it.
                server.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
        _cut_off(standby)
        gone.stop("immediate")
        yield Misfortune(loaded, corrupt, burnt, lonely, standby, gone, idler)


def _load(pg: Postgres, clients: ExitStack) -> psycopg.Connection[Any]:
    pg.create_database(SHOP)
    pg.sql(_ROLES)
    pg.sql(_TABLES, dbname=SHOP)
    with contextlib.suppress(psycopg.errors.UniqueViolation):
        pg.sql('CREATE UNIQUE INDEX CONCURRENTLY "twins key" ON twins (v)', dbname=SHOP)
    pg.sql(f"ALTER DATABASE {_quoted(SHOP)} CONNECTION LIMIT 31")
    pg.sql("SELECT pg_create_physical_replication_slot('dead_slot', true)")
    for _ in range(5):
        pg.sql("SELECT pg_switch_wal()")
        pg.sql("SELECT pg_logical_emit_message(false, 'x', 'y')")
    pg.sql("CHECKPOINT")
    pg.sql("SELECT pg_create_physical_replication_slot('idle_slot', true)")
    pg.sql("ALTER SYSTEM SET max_worker_processes = 21")
    pg.reload()
    pg.sql("BEGIN; INSERT INTO stock VALUES (100, 0); PREPARE TRANSACTION 'forgotten \"one\"'", dbname=SHOP)
    pg.sql(
        "CREATE PUBLICATION p; CREATE SUBSCRIPTION deaf CONNECTION 'host=127.0.0.1 port=1 dbname=x user=x'"
        " PUBLICATION p WITH (connect = false, slot_name = 'x', enabled = false)",
        dbname=SHOP,
    )
    pg.sql("ALTER SUBSCRIPTION deaf ENABLE", dbname=SHOP)
    return _sessions(pg, clients)


def _sessions(pg: Postgres, clients: ExitStack) -> psycopg.Connection[Any]:
    """A full pool; somebody who holds a transaction open, one whose transaction failed, and a queue behind a third."""

    def session(user: str, program: str) -> psycopg.Connection[Any]:
        return _open(pg, clients, user, SHOP, program)

    idler = session("dr.eamer", "cron job")
    idler.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    idler.execute("SELECT count(*), pg_current_xact_id() FROM stock")
    pg.sql("DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
    failer = session("failer", "careless app")
    failer.execute("BEGIN")
    with contextlib.suppress(psycopg.errors.DivisionByZero):
        failer.execute("SELECT 1 / 0")
    root = session("root_cause", "migration.py")
    root.execute("BEGIN")
    root.execute("UPDATE stock SET n = 0 WHERE id = 1")
    first, second = session("waiting", "web 1"), session("waiting", "web 2")
    first.execute("BEGIN")
    first.execute("UPDATE stock SET n = 0 WHERE id = 2")
    _in_background(first, "UPDATE stock SET n = 1 WHERE id = 1")
    _waits(pg, first)
    _in_background(second, "UPDATE stock SET n = 1 WHERE id = 2")
    _waits(pg, second)
    _in_background(session("analyst", "report"), "SELECT pg_sleep(600)")
    for _ in range(POOL):
        session("hog", "leaky pool")
    return idler


def _open(pg: Postgres, clients: ExitStack, user: str, dbname: str, program: str) -> psycopg.Connection[Any]:
    opened = pg.connect(user, dbname, application_name=program)
    clients.callback(opened.close)
    return opened


def _in_background(session: psycopg.Connection[Any], statement: str) -> None:
    def run() -> None:
        with contextlib.suppress(psycopg.Error):
            session.execute(statement.encode())

    threading.Thread(target=run, daemon=True).start()


def _waits(pg: Postgres, session: psycopg.Connection[Any]) -> None:
    asked = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
    eventually(lambda: pg.sql(asked, [session.info.backend_pid])[0][0], what="the session waits for a lock")


def deadlock(pg: Postgres) -> None:
    """Two sessions that wait for each other; the server ends one."""
    with _let_in(pg) as one, _let_in(pg) as other:
        for session, row in ((one, 8), (other, 9)):
            session.execute("BEGIN")
            session.execute("UPDATE stock SET n = n WHERE id = %s", [row])
        _in_background(one, "UPDATE stock SET n = n WHERE id = 9")
        _waits(pg, one)
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            other.execute("UPDATE stock SET n = n WHERE id = 8")


def _let_in(pg: Postgres) -> psycopg.Connection[Any]:
    """A session on a server that is nearly full: the monitor's own come and go."""

    def connected() -> psycopg.Connection[Any] | None:
        with contextlib.suppress(psycopg.OperationalError):
            return pg.connect("root_cause", SHOP)
        return None

    session = eventually(connected, what="a slot that is free")
    assert session is not None
    return session


def spill(pg: Postgres) -> None:
    """A sort that does not fit into memory."""
    pg.sql(
        "SET work_mem = '64kB'; SELECT count(*) FROM (SELECT g FROM generate_series(1, 400000) g ORDER BY -g) s",
        dbname=SHOP,
    )


def _corrupt(pg: Postgres) -> None:
    pg.create_database(SHOP)
    pg.sql("CREATE TABLE broken AS SELECT g, repeat('x', 100) AS t FROM generate_series(1, 1000) AS g", dbname=SHOP)
    path = pg.data / pg.sql("SELECT pg_relation_filepath('broken')", dbname=SHOP)[0][0]
    pg.stop()
    with path.open("r+b") as file:
        file.seek(3 * 8192 + 4000)
        file.write(b"\xff" * 64)
    pg.start()
    with contextlib.suppress(psycopg.Error):
        pg.sql("SELECT count(*) FROM broken", dbname=SHOP)


def _burnt(major: int, stack: ExitStack) -> Postgres | None:
    if major != WHEEL_MAJOR:
        return None
    pg = stack.enter_context(Postgres(major, settings=BURNT))
    pg.stop()
    run_as_server_user([postgres_client("pg_resetwal"), "-x", str(XID), "-D", pg.data], what="pg_resetwal")
    segment = pg.data / "pg_xact" / f"{XID // (32 * 32768):04X}"
    segment.write_bytes(bytes(32 * 8192))
    give_to_server_user(pg.data / "pg_xact")
    pg.start()
    return pg


def _leave_alone(pg: Postgres, clients: ExitStack) -> Postgres:
    """A standby, and a synchronous one that is not there, for whom a commit waits."""
    standby = pg.standby()
    pg.create_monitor_role()
    pg.sql("CREATE ROLE committer LOGIN; CREATE TABLE t (id int); GRANT ALL ON t TO committer")
    pg.wait_caught_up(standby)
    pg.configure(synchronous_standby_names=f'FIRST 1 ("{GONE.replace(chr(34), chr(34) * 2)}")')
    session = _open(pg, clients, "committer", "postgres", "checkout")
    _in_background(session, "INSERT INTO t VALUES (1)")
    asked = "SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = %s"
    eventually(lambda: pg.sql(asked, [session.info.backend_pid])[0][0], what="the commit waits")
    return standby


def _cut_off(standby: Postgres) -> None:
    """Its way to the primary leads nowhere, and somebody has paused its replay."""
    standby.configure(primary_conninfo="host=127.0.0.1 port=1 user=postgres")
    # Only then the pause: a replay that waits does not read its settings anew, and the receiver would stay.
    eventually(lambda: not standby.sql("SELECT 1 FROM pg_stat_wal_receiver"), timeout=30, what="the receiver ended")
    standby.sql("SELECT pg_wal_replay_pause()")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
