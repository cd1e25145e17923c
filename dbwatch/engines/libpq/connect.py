"""Owns opening one PostgreSQL connection under one deadline, and telling which phase it reached.

libpq's own limit leaves name resolution outside and counts per address; here names are resolved first, each address
gets its share, and the whole is bounded. Works the same against PgBouncer: no startup options, no session state.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from dbwatch.engines.libpq.arrival import WatchedConnection
from dbwatch.engines.libpq.errors import clean, connect_reason, lost_reason
from dbwatch.engines.libpq.startup import rejection
from dbwatch.engines.libpq.text import TEXT_TYPES, TolerantNumericLoader, TolerantTextLoader
from dbwatch.engines.resolve import resolve
from dbwatch.errors import TargetError
from dbwatch.model import Reason
from dbwatch.secret import Secret

APPLICATION_NAME = "dbwatch"
_passwords = Aside("dbwatch-password")
_PHASES = {
    pq.ConnStatus.STARTED: "connect",
    pq.ConnStatus.MADE: "connect",
    pq.ConnStatus.SSL_STARTUP: "tls",
    pq.ConnStatus.GSS_STARTUP: "tls",
}
SMALLEST_QUERY = b"select 1"
_CANCELLED = b"57014"
_OUR_OPTIONS: Mapping[str, str] = {
    "application_name": APPLICATION_NAME,
    "client_encoding": "UTF8",
    "gssencmode": "disable",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


@dataclass(slots=True)
class Phases:
    """Seconds spent in each phase of an attempt, and the phase it is in."""

    current: str = "resolve"
    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def enter(self, phase: str) -> None:
        if phase != self.current:
            now = time.monotonic()
            self.seconds[self.current] = self.seconds.get(self.current, 0.0) + now - self._since
            self.current, self._since = phase, now

    def finish(self) -> None:
        self.enter("done")


def open_connection(
    target: Target, deadline: Deadline, *, database: str | None = None, phases: Phases | None = None
) -> psycopg.Connection[tuple[object, ...]]:
    """Connect. Raises TargetError with reason and phase; its text holds no secret."""
    phases = phases if phases is not None else Phases()
    secret = _password(target, deadline)
    attempts = _attempts(target, deadline.capped(target.connect_timeout))
    last: TargetError | None = None
    for position, where in enumerate(attempts):
        share = Deadline.after(min(target.connect_timeout, deadline.remaining / (len(attempts) - position)))
        try:
            pgconn = _connect(_conninfo(target, where, secret, database), share, phases, secret)
        except OSError as error:  # no descriptor left to wait with
            raise TargetError(Reason.RESOURCES, phases.current, f"this process: {error.strerror}") from None
        except TargetError as error:
            last = _explained(error, target, where, database, share)
            if last.reason in (Reason.AUTH, Reason.NO_DATABASE):
                break
            continue
        return _wrap(pgconn)
    raise last if last is not None else TargetError(Reason.DNS, "resolve", f"{target.host} has no address")


def _password(target: Target, deadline: Deadline) -> Secret | None:
    """Read aside: nothing can interrupt a look at a dead network disk or at a pipe nobody writes to."""
    source = target.password
    if source is None:
        return None
    try:
        return _passwords.within(deadline, source, source.read)
    except (UnfinishedError, CrowdedError):
        raise TargetError(Reason.TIMEOUT, "password", "the password could not be read in time") from None


def _attempts(target: Target, deadline: Deadline) -> list[dict[str, str]]:
    """What to try, in order: every address of every host."""
    if not target.host or target.host.startswith("/") or "service" in target.options or "hostaddr" in target.options:
        return [{"host": target.host} if target.host else {}]
    found: list[dict[str, str]] = []
    failed: TargetError | None = None
    for host in target.host.split(","):
        try:
            found += [{"host": host, "hostaddr": address} for address in resolve(host, target.port or 5432, deadline)]
        except TargetError as error:
            failed = error
    if not found and failed is not None:
        raise failed
    return found


def _conninfo(target: Target, where: Mapping[str, str], secret: Secret | None, database: str | None) -> str:
    params: dict[str, str | int] = {**_OUR_OPTIONS, **target.options, **where}
    if target.port is not None:
        params["port"] = target.port
    if database or target.database:
        params["dbname"] = database or target.database
    if target.user:
        params["user"] = target.user
    if secret is not None:
        params["password"] = secret.reveal()
    try:
        return make_conninfo("", **params)
    except psycopg.ProgrammingError as error:
        raise TargetError(Reason.ERROR, "connect", clean(str(error), secret)) from None


def answer(pgconn: pq.abc.PGconn, deadline: Deadline, query: bytes | None = None) -> None:
    """Have the server answer the smallest query, or the one given. Raises TargetError.

    Bounded where psycopg's own wait is not.
    """
    pgconn.send_query(query or SMALLEST_QUERY)
    with selectors.DefaultSelector() as selector:
        while pgconn.flush():
            _wait(selector, pgconn, selectors.EVENT_WRITE, deadline, "query")
        while True:
            while pgconn.is_busy():
                _wait(selector, pgconn, selectors.EVENT_READ, deadline, "query")
                pgconn.consume_input()
            result = pgconn.get_result()
            if result is None:
                return
            if result.error_field(pq.DiagnosticField.SQLSTATE) == _CANCELLED:
                continue  # a role may have a limit of a millisecond; to cancel is to answer, too
            if result.status != pq.ExecStatus.TUPLES_OK:
                message = clean(result.get_error_message())
                raise TargetError(lost_reason(message) or Reason.ERROR, "query", message)


def _connect(conninfo: str, deadline: Deadline, phases: Phases, secret: Secret | None) -> pq.abc.PGconn:
    phases.enter("connect")
    pgconn: pq.abc.PGconn = pq.PGconn.connect_start(conninfo.encode())
    with selectors.DefaultSelector() as selector:
        while True:
            if pgconn.status == pq.ConnStatus.BAD:
                raise _failed(pgconn, phases, secret)
            wanted = pgconn.connect_poll()
            if wanted == pq.PollingStatus.FAILED:
                raise _failed(pgconn, phases, secret)
            phases.enter(_PHASES.get(pq.ConnStatus(pgconn.status), "auth"))
            if wanted == pq.PollingStatus.OK:
                break
            mask = selectors.EVENT_READ if wanted == pq.PollingStatus.READING else selectors.EVENT_WRITE
            _wait(selector, pgconn, mask, deadline, phases.current)
    pgconn.nonblocking = 1
    return pgconn


def _wait(selector: selectors.BaseSelector, pgconn: pq.abc.PGconn, mask: int, deadline: Deadline, phase: str) -> None:
    """Until libpq's socket is ready. Raises TargetError(timeout) and gives the attempt up at the deadline."""
    # libpq may open another socket between two polls, so the registration does not outlive one wait.
    key = selector.register(pgconn.socket, mask)
    ready = selector.select(deadline.remaining)
    selector.unregister(key.fileobj)
    if deadline.passed or not ready:  # a server that never stops talking is always ready
        pgconn.finish()
        raise TargetError(Reason.TIMEOUT, phase, f"no answer within the connect time limit at step {phase}")


def _failed(pgconn: pq.abc.PGconn, phases: Phases, secret: Secret | None) -> TargetError:
    message = pgconn.get_error_message()
    pgconn.finish()
    return TargetError(connect_reason(message) or Reason.ERROR, phases.current, clean(message, secret))


def _explained(
    error: TargetError, target: Target, where: Mapping[str, str], database: str | None, deadline: Deadline
) -> TargetError:
    """The error with the server's own reason when libpq's text said nothing we know."""
    address = where.get("hostaddr") or where.get("host")
    if error.reason is not Reason.ERROR or address is None or error.phase not in ("auth", "tls"):
        return error
    reason = rejection(address, target.port or 5432, target.user, database or target.database, deadline)
    return TargetError(reason, error.phase, str(error)) if reason is not None else error


def _wrap(pgconn: pq.abc.PGconn) -> psycopg.Connection[tuple[object, ...]]:
    connection = WatchedConnection(pgconn)
    connection.autocommit = True
    connection.prepare_threshold = None
    for name in TEXT_TYPES:
        connection.adapters.register_loader(name, TolerantTextLoader)
    connection.adapters.register_loader("numeric", TolerantNumericLoader)
    return connection
