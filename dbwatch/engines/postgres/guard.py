"""Owns the guarded transaction every statement of ours runs in. Knows no check.

`begin read only` with our limits and a pinned search_path in one round trip; the query as a sub-query with a bound
row limit, so that the server's own parser refuses anything but one query; rollback, whatever happened.
Verified in `reference/reliability.md` §3.4. The same path works through PgBouncer in transaction mode.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.rows import dict_row

from dbwatch.deadline import Deadline
from dbwatch.engines.postgres.errors import translate
from dbwatch.errors import CheckError, ConnectionLost
from dbwatch.model import RawRow, Reason

LOCK_TIMEOUT_MS = 200
_LEAST_TIMEOUT_MS = 100
_ROLE = "select pg_catalog.pg_is_in_recovery()"
_CAPPED = "select * from (\n{query}\n) as q limit $1"
_LIMITS: Mapping[str, str] = {
    "lock_timeout": f"{LOCK_TIMEOUT_MS}ms",
    "search_path": "pg_catalog",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "client_min_messages": "error",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
}


class Transaction:
    """An open guarded transaction. `in_recovery` is the server's role as of its snapshot."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], on_step: Callable[[str], None]) -> None:
        self._connection = connection
        self._on_step = on_step
        self.in_recovery = False
        self.database_seconds = 0.0
        self.truncated = False

    def begin(self, deadline: Deadline) -> None:
        self._on_step("begin")
        milliseconds = max(_LEAST_TIMEOUT_MS, int(deadline.remaining * 1000))
        # First the time limit, in the place of whatever the owner of the database has set for every session.
        limits = {
            "statement_timeout": f"{milliseconds}ms",
            "idle_in_transaction_session_timeout": f"{milliseconds + 2000}ms",
            **_LIMITS,
        }
        if self._connection.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII":
            limits["client_encoding"] = "SQL_ASCII"
        if self._connection.info.server_version >= 140_000:
            limits["client_connection_check_interval"] = "1s"
        if self._connection.info.server_version >= 170_000:
            limits["transaction_timeout"] = "0"  # it would end the session, not the statement
        settings = "; ".join(f"set local {name} = '{value}'" for name, value in limits.items())
        # The select fixes the snapshot: from here on the transaction can no longer be made read-write.
        begin = "begin isolation level repeatable read read only"
        cursor = self._connection.execute(f"{begin}; {settings}; {_ROLE}".encode())
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        self.in_recovery = bool(row and row[0])

    def fetch(self, sql: str, *, limit: int) -> Sequence[RawRow]:
        """At most `limit` rows of one query; sets `truncated` when the server had more."""
        self._on_step("query")
        started = time.monotonic()
        with psycopg.RawCursor(self._connection, row_factory=dict_row) as cursor:
            # The bind parameter makes psycopg use the extended protocol, which takes one statement only.
            cursor.execute(_CAPPED.replace("{query}", sql).encode(), [limit + 1])
            self._on_step("fetch")
            rows = cursor.fetchall()
        self.database_seconds += time.monotonic() - started
        if len(rows) > limit:
            self.truncated = True
        return rows[:limit]

    def rollback(self) -> None:
        self._on_step("rollback")
        self._connection.execute(b"rollback")


@contextmanager
def guarded(
    connection: psycopg.Connection[tuple[object, ...]], deadline: Deadline, on_step: Callable[[str], None]
) -> Iterator[Transaction]:
    """Run the body in a guarded transaction. Driver errors leave as CheckError; a lost connection is closed."""
    step = ["begin"]

    def stepping(name: str) -> None:
        step[0] = name
        on_step(name)

    transaction = Transaction(connection, stepping)
    try:
        try:
            transaction.begin(deadline)
            yield transaction
        finally:
            failed_at = step[0]
            if not connection.broken and not connection.closed:
                transaction.rollback()
            step[0] = failed_at
            on_step(failed_at)
    except psycopg.Error as error:
        translated = translate(error, step[0], broken=connection.broken or connection.closed)
        if isinstance(translated, ConnectionLost):
            connection.close()
        raise translated from None
    except UnicodeError:
        raise CheckError(Reason.BAD_RESULT, "the server sent text that cannot be decoded", step=step[0]) from None
