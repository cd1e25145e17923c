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
from dbwatch.engines.base import Answer
from dbwatch.engines.libpq.arrival import arriving
from dbwatch.engines.libpq.errors import Refused, refusal, translate
from dbwatch.engines.postgres.prepared import Prepared
from dbwatch.engines.roundtrip import RoundTrip
from dbwatch.errors import CheckError, ConnectionLost
from dbwatch.model import RawRow, Reason

LOCK_TIMEOUT_MS = 200
_LEAST_TIMEOUT_MS = 100
_SERVERS_SHARE = 0.95
"""The server ends a query a little before we would have to connect once more to have it cancelled."""
_ROLE = "pg_catalog.pg_is_in_recovery()"
_BACKEND = "pg_catalog.pg_backend_pid()"
_POSITION = """case
    when not pg_catalog.pg_is_in_recovery()
      then pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), '0/0')::pg_catalog.int8
  end"""
_EXTENSIONS_IN_PATH = """select
  pg_catalog.set_config(
    'search_path',
    pg_catalog.concat_ws(', ', 'pg_catalog', pg_catalog.string_agg(distinct pg_catalog.quote_ident(n.nspname), ', ')),
    true
  )
from pg_catalog.pg_extension as e
join pg_catalog.pg_namespace as n
  on n.oid = e.extnamespace
where n.nspname <> 'pg_catalog'"""
_CAPPED = "select * from (\n{query}\n) as q limit $1"
_HELD = "pg_catalog.pg_has_role('{privilege}', 'usage')"
_QUERY_CANCELED = "57014"
_LIMITS: Mapping[str, str] = {
    "lock_timeout": f"{LOCK_TIMEOUT_MS}ms",
    "search_path": "pg_catalog",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "client_min_messages": "error",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
    "plan_cache_mode": "force_generic_plan",
}


class Transaction:
    """An open guarded transaction. `in_recovery` is the server's role as of its snapshot.

    `flushed_lsn` is where a primary's log stood then, and None when that was not asked for. `is_privileged` says
    whether our role still held then the predefined role that was asked for.
    """

    def __init__(
        self,
        connection: psycopg.Connection[tuple[object, ...]],
        on_step: Callable[[str], None],
        *,
        with_position: bool = False,
        privilege: str | None = None,
        prepared: Prepared | None = None,
        round_trip: RoundTrip | None = None,
    ) -> None:
        self._connection = connection
        self._round_trip = round_trip if round_trip is not None else RoundTrip()
        self._on_step = on_step
        self._with_position = with_position
        self._privilege = privilege
        self._prepared = prepared
        self.in_recovery = False
        self.is_privileged = True
        self.flushed_lsn: int | None = None
        self.began = 0.0
        self.database_seconds = 0.0
        self.truncated = False
        self._deadline = Deadline(0.0)
        self._asked: tuple[str, ...] = ()
        self._is_direct = False

    def begin(self, deadline: Deadline) -> None:
        self._on_step("begin")
        self._deadline = deadline
        milliseconds = max(_LEAST_TIMEOUT_MS, int(deadline.remaining * _SERVERS_SHARE * 1000))
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
        begin = "begin isolation level repeatable read read only"
        asked = self._first_select(limits)
        started = time.monotonic()
        try:
            cursor = self._connection.execute(f"{begin}; {asked}".encode())
        except psycopg.errors.QueryCanceled:
            if deadline.passed:
                raise
            # A limit of a millisecond, which the owner of the database has set for us: now ours first, in a short text.
            # Between `begin` and our limit for idling there must be no pause, or a like limit ends the session there.
            self._connection.execute(b"rollback")
            first = ("statement_timeout", "idle_in_transaction_session_timeout")
            ours = "; ".join(f"set local {name} = '{limits[name]}'" for name in first)
            self._connection.execute(f"{begin}; {ours}".encode())
            cursor = self._connection.execute(asked.encode())
        self.began = time.monotonic()
        self._round_trip.note(self.began - started)
        while cursor.nextset():
            pass
        self._read(cursor.fetchone())

    def _first_select(self, limits: Mapping[str, str]) -> str:
        """Fixes the snapshot: from here on the transaction can no longer be made read-write.

        One select and not a SET for each: pg_stat_statements leaves the values out of a query's identity, but keeps
        every SET of another value as a statement of its own.
        """
        asked = {"role": _ROLE, "backend": _BACKEND}
        if self._with_position:
            asked["position"] = _POSITION
        if self._privilege is not None:
            asked["held"] = _HELD.format(privilege=self._privilege.replace("'", "''"))
        settings = (f"pg_catalog.set_config('{name}', '{value}', true)" for name, value in limits.items())
        self._asked = tuple(asked)
        return f"select {', '.join((*asked.values(), *settings))}"

    def _read(self, row: Sequence[object] | None) -> None:
        told = dict(zip(self._asked, row or (), strict=False))
        self.in_recovery = bool(told.get("role"))
        # A pooler has a number of its own for the session that it pretends to be.
        self._is_direct = told.get("backend") == self._connection.info.backend_pid
        if self._privilege is not None:
            self.is_privileged = bool(told.get("held"))
        position = told.get("position")
        if isinstance(position, int):
            self.flushed_lsn = position

    def fetch(self, sql: str, *, limit: int) -> Sequence[RawRow]:
        """At most `limit` rows of one query; sets `truncated` when the server had more.

        With `prepared` it is planned once a session: planning costs the server more than most answers.
        """
        self._on_step("query")
        started = time.monotonic()
        capped = _CAPPED.replace("{query}", sql)
        with psycopg.RawCursor(self._connection, row_factory=dict_row) as cursor:
            with arriving(self._connection, lambda: self._on_step("fetch")):
                if self._prepared is not None and self._is_direct:
                    self._prepared.execute(cursor, capped, limit + 1)
                else:
                    # The bind parameter makes psycopg use the extended protocol, which takes one statement only.
                    cursor.execute(capped.encode(), [limit + 1])
            rows = cursor.fetchall()
        self.database_seconds += self._round_trip.without(time.monotonic() - started)
        if len(rows) > limit:
            self.truncated = True
        return rows[:limit]

    def look(self, sql: str, *, limit: int) -> Answer:
        """As `fetch`, for a person: columns may share a name, and what extensions made needs no schema."""
        self._on_step("query")
        self._connection.execute(_EXTENSIONS_IN_PATH.encode())
        with psycopg.RawCursor(self._connection) as cursor:
            cursor.execute(_CAPPED.replace("{query}", sql).encode(), [limit + 1])
            self._on_step("fetch")
            rows = cursor.fetchall()
            columns = tuple(column.name for column in cursor.description or ())
        return Answer(columns, tuple(rows[:limit]), truncated=len(rows) > limit)

    @property
    def remaining(self) -> float:
        """Seconds left of the run."""
        return self._deadline.remaining

    def attempt(self, sql: str, *, limit: int, seconds: float) -> Sequence[RawRow] | Refused:
        """Like `fetch`, but the server may refuse: the error is the answer and the transaction goes on.

        The query gets at most `seconds`. Not survived: a lost connection, the end of the run, somebody's cancel.
        """
        self._on_step("query")
        remaining = self.remaining
        milliseconds = max(1, int(min(seconds, remaining) * 1000))
        timeout = f"select pg_catalog.set_config('statement_timeout', '{milliseconds}ms', true)"
        self._connection.execute(f"savepoint attempt; {timeout}".encode())
        started = time.monotonic()
        try:
            rows: Sequence[RawRow] | Refused = self.fetch(sql, limit=limit)
        except psycopg.Error as error:
            spent = time.monotonic() - started
            self.database_seconds += spent
            # Whole milliseconds: the server's clock can strike a moment before ours says that the run is over.
            if self._ends_run(error, timed_out=spent * 1000 >= milliseconds and seconds < remaining):
                raise
            rows = refusal(error, "query")
        # Back, not on: with the savepoint goes the time limit of this query.
        self._connection.execute(b"rollback to savepoint attempt; release savepoint attempt")
        return rows

    def _ends_run(self, error: psycopg.Error, *, timed_out: bool) -> bool:
        """`timed_out`: it spent the time limit of the query, which was not that of the run."""
        if self._connection.broken or self._connection.closed:
            return True
        if error.sqlstate == _QUERY_CANCELED:
            return not timed_out or self._deadline.passed
        return isinstance(translate(error, "query", broken=False), ConnectionLost)

    def rollback(self) -> None:
        self._on_step("rollback")
        self._connection.execute(b"rollback")


@contextmanager
def guarded(
    connection: psycopg.Connection[tuple[object, ...]],
    deadline: Deadline,
    on_step: Callable[[str], None],
    *,
    with_position: bool = False,
    privilege: str | None = None,
    prepared: Prepared | None = None,
    round_trip: RoundTrip | None = None,
) -> Iterator[Transaction]:
    """Run the body in a guarded transaction. Driver errors leave as CheckError; a lost connection is closed."""
    step = ["begin"]

    def stepping(name: str) -> None:
        step[0] = name
        on_step(name)

    transaction = Transaction(
        connection,
        stepping,
        with_position=with_position,
        privilege=privilege,
        prepared=prepared,
        round_trip=round_trip,
    )
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
