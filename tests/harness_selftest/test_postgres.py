"""PostgreSQL of every major starts, answers, logs, replicates, is promoted and leaves nothing behind."""

from __future__ import annotations

import signal

import psycopg
import pytest

from tests.conftest import FreshPostgres
from tests.harness.freeze import frozen, frozen_tree
from tests.harness.postgres import Postgres
from tests.harness.proctree import alive, descendants, send, stopped
from tests.harness.waiting import consistently, eventually


def test_every_major_is_the_server_it_says(pg: Postgres, database: str) -> None:
    (number,) = pg.sql("SELECT current_setting('server_version_num')::int", dbname=database)[0]
    assert number // 10000 == pg.major
    assert pg.sql("SELECT current_setting('shared_preload_libraries')") == [("pg_stat_statements",)]
    pg.sql("CREATE EXTENSION pg_stat_statements", dbname=database)
    assert pg.sql("SELECT count(*) >= 0 FROM pg_stat_statements(false)", dbname=database) == [(True,)]


def test_several_statements_answer_with_the_last_rows(newest_pg: Postgres) -> None:
    assert newest_pg.sql("SELECT 1; SELECT 2; SET timezone = 'UTC'") == [(2,)]
    assert newest_pg.sql("SELECT %s::int + 1", [41]) == [(42,)]


def test_the_monitor_role_has_what_was_granted_and_no_more(newest_pg: Postgres) -> None:
    url = newest_pg.create_monitor_role('odd "name"', grants=())
    with psycopg.connect(url) as session:
        assert session.execute("SELECT pg_has_role('pg_monitor', 'MEMBER')").fetchone() == (False,)
    newest_pg.create_monitor_role('odd "name"')
    with psycopg.connect(url) as session:
        assert session.execute("SELECT pg_has_role('pg_monitor', 'MEMBER')").fetchone() == (True,)


def test_a_database_may_have_any_name(newest_pg: Postgres) -> None:
    name = newest_pg.create_database('Bücher "&" 50%/?#')
    assert newest_pg.sql("SELECT current_database()", dbname=name) == [(name,)]
    newest_pg.drop_database(name)


def test_a_standby_streams_catches_up_and_is_promoted(pg: Postgres, fresh_postgres: FreshPostgres) -> None:
    primary = fresh_postgres(pg.major)
    standby = primary.standby(name="standby1", slot="slot1")
    assert standby.in_recovery()
    assert primary.sql("SELECT active FROM pg_replication_slots") == [(True,)]
    primary.sql("CREATE TABLE t AS SELECT 7 AS seven")
    primary.wait_caught_up(standby)
    assert standby.sql("SELECT * FROM t") == [(7,)]
    standby.promote()
    assert standby.sql("INSERT INTO t VALUES (8) RETURNING 1") == [(1,)]


def test_restart_keeps_port_and_data(fresh_postgres: FreshPostgres) -> None:
    pg = fresh_postgres(16, settings={"max_connections": "17"})
    before = pg.postmaster_pid
    pg.sql("CREATE TABLE kept ()")
    mark = pg.log_mark()
    pg.restart("immediate")
    assert pg.postmaster_pid != before
    assert pg.sql("SELECT * FROM kept") == []
    assert pg.sql("SHOW max_connections") == [("17",)]
    assert any("database system was not properly shut down" in line for line in pg.log_lines_since(mark))
    pg.stop()
    assert not pg.accepts()
    pg.start()
    assert pg.accepts()


def test_configure_and_hba_are_in_force_on_return(fresh_postgres: FreshPostgres) -> None:
    pg = fresh_postgres(17)
    pg.configure(work_mem="7MB")
    assert pg.sql("SHOW work_mem") == [("7MB",)]
    url = pg.create_monitor_role(password="s3cret/@:")
    pg.hba("host all all 127.0.0.1/32 scram-sha-256")
    with psycopg.connect(url) as session:
        assert session.execute("SELECT current_user").fetchone() == ("dbwatch",)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pg.connect(user="dbwatch", password="wrong")


def test_a_server_that_cannot_start_says_why() -> None:
    pg = Postgres(16, settings={"shared_buffers": "1kB"})
    try:
        with pytest.raises(RuntimeError, match="outside the valid range"):
            pg.start()
    finally:
        pg.close()
    assert not pg.dir.exists()


def test_own_identity_is_another_cluster(fresh_postgres: FreshPostgres, newest_pg: Postgres) -> None:
    own = fresh_postgres(newest_pg.major, own_identity=True)
    identity = "SELECT system_identifier FROM pg_control_system()"
    assert own.sql(identity) != newest_pg.sql(identity)


def test_a_frozen_backend_holds_only_its_session(newest_pg: Postgres) -> None:
    with newest_pg.connect() as session:
        with frozen(session.info.backend_pid):
            assert stopped(session.info.backend_pid)
            assert newest_pg.accepts()
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_frozen_server_answers_nobody_and_is_ended_all_the_same() -> None:
    with Postgres(16) as pg:
        with frozen_tree(pg.postmaster_pid):
            consistently(lambda: not pg.accepts(), during=0.1)
        eventually(pg.accepts)
        tree = [pg.postmaster_pid, *descendants(pg.postmaster_pid)]
        send(tree, signal.SIGSTOP)
    assert not [pid for pid in tree if alive(pid)]
