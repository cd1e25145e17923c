"""PgBouncer pools in the mode it was asked for and passes the user on."""

from __future__ import annotations

from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres


def test_transaction_mode_shares_one_server_session(newest_pg: Postgres) -> None:
    with PgBouncer(newest_pg, default_pool_size=1) as bouncer, bouncer.connect() as one, bouncer.connect() as two:
        first = one.execute("SELECT pg_backend_pid()").fetchone()
        assert two.execute("SELECT pg_backend_pid()").fetchone() == first


def test_a_role_made_later_is_known_after_reload(newest_pg: Postgres, pgbouncer: PgBouncer) -> None:
    newest_pg.create_monitor_role("latecomer")
    pgbouncer.reload()
    assert pgbouncer.sql("SELECT current_user::text", user="latecomer") == [("latecomer",)]


def test_the_console_answers(pgbouncer: PgBouncer) -> None:
    assert any("pgbouncer" in row for row in pgbouncer.sql("SHOW POOLS", dbname="pgbouncer"))
