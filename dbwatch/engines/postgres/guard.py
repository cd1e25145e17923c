"""Owns the guarded transaction every statement of ours runs in. Knows no check.

`begin read only` with our limits and a pinned search_path in one round trip; the query as a sub-query with a bound
row limit, so that the server's own parser refuses anything but one query; rollback, whatever happened.
Verified in `reference/reliability.md` §3.4. The same path works through PgBouncer in transaction mode.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg.rows import dict_row

from dbwatch.deadline import Deadline
from dbwatch.engines.base import Answer
from dbwatch.engines.libpq.arrival import arriving
from dbwatch.engines.libpq.errors import Refused, refusal, translate
from dbwatch.engines.postgres.opening import Opening, Told
from dbwatch.engines.postgres.prepared import Prepared
from dbwatch.engines.roundtrip import RoundTrip
from dbwatch.errors import CheckError, ConnectionLost
from dbwatch.model import RawRow, Reason

_BEGIN = "begin isolation level repeatable read read only; set local search_path = pg_catalog"
"""The path before all else: a plan that is kept is of the path it was made with, and made anew for any other."""
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
_QUERY_CANCELED = "57014"
_CURABLE = (psycopg.errors.QueryCanceled, psycopg.errors.InvalidSqlStatementName)
"""Of a beginning: a limit of a millisecond, and a prepared statement that somebody's DISCARD ALL took away."""


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
        kept_as: str | None = None,
        round_trip: RoundTrip | None = None,
    ) -> None:
        self._connection = connection
        self._round_trip = round_trip if round_trip is not None else RoundTrip()
        self._on_step = on_step
        self._with_position = with_position
        self._privilege = privilege
        self._prepared = prepared
        self._kept_as = kept_as
        self.in_recovery = False
        self.is_privileged = True
        self.flushed_lsn: int | None = None
        self.began = 0.0
        self.database_seconds = 0.0
        self.truncated = False
        self._deadline = Deadline(0.0)

    def begin(self, deadline: Deadline) -> None:
        self._on_step("begin")
        self._deadline = deadline
        info = self._connection.info
        opening = Opening.of(
            deadline,
            server_version=info.server_version,
            server_encoding=info.parameter_status("server_encoding"),
            with_position=self._with_position,
            privilege=self._privilege,
        )
        first = opening.plain
        if self._prepared is not None:
            first = self._prepared.opening(opening.prepared, opening.values) or first
        started = time.monotonic()
        try:
            cursor = self._connection.execute(f"{_BEGIN}; {first}".encode())
        except psycopg.Error as error:
            if self._prepared is not None:
                self._prepared.refuse(opening.prepared)
            if deadline.passed or not isinstance(error, _CURABLE):
                raise
            cursor = self._begin_slowly(opening)
        self.began = time.monotonic()
        self.database_seconds += self._round_trip.kept_waiting(self.began - started)
        while cursor.nextset():
            pass
        self._read(opening.read(cursor.fetchone()))

    def _begin_slowly(self, opening: Opening) -> psycopg.Cursor[tuple[object, ...]]:
        """Our time limits first, in a short text: the owner of the database may have set one of a millisecond for us.

        Between `begin` and our limit for idling there must be no pause, or a like limit ends the session there.
        """
        self._connection.execute(b"rollback")
        ours = "; ".join(f"set local {name} = '{value}'" for name, value in opening.limits.items())
        self._connection.execute(f"{_BEGIN}; {ours}".encode())
        return self._connection.execute(opening.plain.encode())

    def _read(self, told: Told) -> None:
        self.in_recovery = told.in_recovery
        if self._prepared is not None:
            # A pooler has a number of its own for the session that it pretends to be.
            self._prepared.is_own_session = told.backend_pid == self._connection.info.backend_pid
        self.is_privileged = told.is_privileged is not False
        self.flushed_lsn = told.flushed_lsn

    def fetch(self, sql: str, *, limit: int, is_fixed: bool = False) -> Sequence[RawRow]:
        """At most `limit` rows of one query; sets `truncated` when the server had more.

        What has a name to be kept by is planned once a session: planning costs the server more than most answers.
        `is_fixed` says that this very text will come again.
        """
        self._on_step("query")
        started = time.monotonic()
        capped = _CAPPED.replace("{query}", sql)
        with psycopg.RawCursor(self._connection, row_factory=dict_row) as cursor:
            with arriving(self._connection, lambda: self._on_step("fetch")):
                if self._prepared is not None and self._kept_as is not None:
                    self._prepared.execute(cursor, capped, limit + 1, name=self._kept_as, at_once=is_fixed)
                else:
                    # The bind parameter makes psycopg use the extended protocol, which takes one statement only.
                    cursor.execute(capped.encode(), [limit + 1])
            rows = cursor.fetchall()
        self.database_seconds += self._round_trip.without(time.monotonic() - started)
        if len(rows) > limit:
            self.truncated = True
        return rows[:limit]

    def has(self, sql: str) -> bool:
        """Whether a query finds a row; the server stops at the first."""
        before, self.truncated = self.truncated, False
        self.fetch(sql, limit=0, is_fixed=True)
        found, self.truncated = self.truncated, before
        return found

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
    kept_as: str | None = None,
    round_trip: RoundTrip | None = None,
) -> Iterator[Transaction]:
    """Run the body in a guarded transaction. Driver errors leave as CheckError; a lost connection is closed.

    With `prepared` the session keeps the beginning planned, and what is asked when it has a name to be kept by.
    """
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
        kept_as=kept_as,
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
