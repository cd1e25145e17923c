"""A workload of known counts: functions that sleep, each a statement of its own, and the server's account of them."""

from __future__ import annotations

from typing import Any

import psycopg

from dbwatch.model import Outcome, Row
from tests.harness.postgres import Postgres

SETTINGS = {"pg_stat_statements.max": "100", "autovacuum": "off"}


class Workload:
    """`run("a", 20)` executes `select wait_a()` so often, in a session of its own."""

    def __init__(self, server: Postgres, *, version: str | None = None) -> None:
        self.server = server
        self.ran: dict[str, int] = {}
        server.sql("create extension pg_stat_statements" + (f" version '{version}'" if version else ""))

    def define(self, name: str, seconds: float) -> None:
        """Make or change a statement. Its number stays the same."""
        self.server.sql(
            f"create or replace function wait_{name}(float8 default {seconds}) returns void"
            " language sql as 'select pg_sleep($1)'"
        )

    def run(self, name: str, times: int) -> None:
        with self.server.connect() as session:
            for _ in range(times):
                session.execute(f"select wait_{name}()".encode())
        self.ran[name] = self.ran.get(name, 0) + times

    def storm(self, different: int) -> None:
        """So many statements of different shapes, each once."""
        with self.server.connect() as session:
            for number in range(1, different + 1):
                session.execute(("select 1" + ", 1" * number).encode())

    def entry(self, name: str, *, session: psycopg.Connection[Any] | None = None) -> tuple[int, int, float]:
        """Number, executions and seconds of a statement, as the server has them now."""
        columns = self.server.sql(
            "select attname from pg_attribute where attrelid = 'pg_stat_statements'::regclass and attname ~ '^total_'"
        )
        total = "total_exec_time" if ("total_exec_time",) in columns else "total_time"
        text = f"select queryid, calls, {total} / 1000 from pg_stat_statements where query = 'select wait_{name}()'"
        rows = session.execute(text.encode()).fetchall() if session is not None else self.server.sql(text)
        ((queryid, calls, seconds),) = rows
        return queryid, calls, seconds


def row_of(outcome: Outcome, queryid: int) -> Row:
    (row,) = [row for row in outcome.rows if row.labels["queryid"] == str(queryid)]
    return row
