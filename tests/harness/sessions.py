"""Talking to whatever speaks PostgreSQL on a loopback port: URLs, sessions, statements, databases, roles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql as pgsql

Row = tuple[Any, ...]


def identifier(name: str) -> str:
    """Any name, quoted for use in SQL."""
    return pgsql.Identifier(name).as_string()


class Sessions:
    """The client's side of a server on 127.0.0.1:`port`; `Postgres` and `PgBouncer` are such."""

    host = "127.0.0.1"

    def __init__(self, port: int) -> None:
        self.port = port

    def url(
        self,
        user: str = "postgres",
        dbname: str = "postgres",
        password: str | None = None,
        **params: str | int,
    ) -> str:
        """A connection URL over TCP; `params` are libpq's, as `application_name`."""
        secret = f":{quote(password, safe='')}" if password is not None else ""
        place = f"{quote(user, safe='')}{secret}@{self.host}:{self.port}/{quote(dbname, safe='')}"
        return f"postgresql://{place}" + (f"?{urlencode(params, quote_via=quote)}" if params else "")

    def connect(
        self,
        user: str = "postgres",
        dbname: str = "postgres",
        password: str | None = None,
        **params: str | int,
    ) -> psycopg.Connection[Row]:
        """A new session in autocommit; the caller closes it (`with pg.connect() as session:`)."""
        return psycopg.connect(self.url(user, dbname, password, **params), autocommit=True)

    def sql(
        self,
        text: str,
        params: Sequence[object] | None = None,
        *,
        dbname: str = "postgres",
        user: str = "postgres",
    ) -> list[Row]:
        """Run one statement, or several without `params`, in a session of its own; the rows of the last that has any.

        Several statements in one text are one transaction. VACUUM and CREATE DATABASE want a call of their
        own.
        """
        rows: list[Row] = []
        with self.connect(user, dbname) as session:
            pid = session.info.backend_pid
            cursor = session.execute(text.encode(), params)
            while True:
                if cursor.description is not None:
                    rows = cursor.fetchall()
                if not cursor.nextset():
                    break
        self._await_end(pid)
        return rows

    def _await_end(self, pid: int) -> None:
        """Wait until the session's process is gone, where it is one of this machine: it holds its slot until then."""

    def create_database(self, name: str, *, options: str = "") -> str:
        """Create a database (`options`: the rest of CREATE DATABASE) and return its name, which may be any."""
        self.sql(f"CREATE DATABASE {identifier(name)} {options}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database with everybody in it; fine when it is not there."""
        self.sql(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")

    def create_monitor_role(
        self,
        name: str = "dbwatch",
        *,
        grants: Sequence[str] = ("pg_monitor",),
        password: str | None = None,
        dbname: str = "postgres",
    ) -> str:
        """A login role with exactly these memberships; the URL to connect as it. Calling again resets the role."""
        role, known = identifier(name), pgsql.Literal(name).as_string()
        secret = "NULL" if password is None else pgsql.Literal(password).as_string()
        # One text, one session: the tests do this three thousand times.
        self.sql(
            f"""
            DO $do$ DECLARE held name; BEGIN
              IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {known}) THEN CREATE ROLE {role}; END IF;
              FOR held IN
                SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = {known}
              LOOP EXECUTE format('REVOKE %I FROM {role.replace("'", "''").replace("%", "%%")}', held); END LOOP;
            END $do$;
            ALTER ROLE {role} LOGIN PASSWORD {secret};
            """
            + "".join(f"GRANT {identifier(group)} TO {role};" for group in grants)
        )
        return self.url(name, dbname, password)
