"""deploy/role.sql on a real server, run as the image of PostgreSQL runs it: its role can do its work and no more."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.conftest import FreshPostgres
from tests.harness.binaries import postgres_client

ROLE = Path(__file__).resolve().parents[2] / "deploy" / "role.sql"
PASSWORD = 'it\'s $5 \\ a "pass" word'


def test_the_role_logs_in_with_the_password_of_the_file(fresh_postgres: FreshPostgres, tmp_path: Path) -> None:
    server = fresh_postgres(16)
    server.hba("host all dbwatch 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust")
    password_file = tmp_path / "dbwatch_password"
    password_file.write_text(PASSWORD + "\n", encoding="utf-8")
    done = subprocess.run(
        [str(postgres_client("psql")), "-v", "ON_ERROR_STOP=1", "--no-psqlrc", server.url(), "-f", str(ROLE)],
        env={**os.environ, "DBWATCH_PASSWORD_FILE": str(password_file)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with psycopg.connect(server.url("dbwatch", password=PASSWORD), autocommit=True) as session:
        (monitor,) = session.execute("select pg_has_role('pg_monitor', 'usage')").fetchone() or ()
        assert monitor is True
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            session.execute("create temporary table anything ()")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url("dbwatch", password="wrong"))
