"""Owns one connection to one server: opened once, asked one command at a time, never reconnected by itself.

redis-py's client and pool retry and reconnect on their own, which makes a dead server look slow (measured:
59 s for one PING), so its Connection is driven directly. Knows no check and no facts.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.redis.commands import words_of
from dbwatch.engines.redis.errors import check_error, no_database, target_error
from dbwatch.engines.redis.tls import Tls
from dbwatch.engines.roundtrip import RoundTrip
from dbwatch.errors import CheckError, ConnectionLost
from dbwatch.model import Reason
from dbwatch.secret import Secret


class _Driver(Protocol):
    """What we use of redis-py's Connection; the library annotates it only in part."""

    def connect(self) -> None: ...

    def on_connect(self) -> None: ...

    def disconnect(self) -> None: ...

    def send_command(self, *words: str) -> None: ...

    def read_response(self, *, timeout: float) -> object: ...

    def can_read(self, timeout: float) -> bool: ...


class Wire:
    """One connection, for one thread; `abort` alone may come from another."""

    def __init__(
        self,
        target: Target,
        host: str,
        tls: Tls | None,
        password: Secret | None,
        *,
        connect_timeout: float,
        timeout: float,
        on_connected: Callable[[], None],
    ) -> None:
        self._target = target
        self._password = password
        self._user = target.user or "default"
        self._on_connected = on_connected
        self._ended = threading.Event()
        self._opened = False
        self.used = time.monotonic()
        self.round_trip = RoundTrip()
        options: dict[str, object] = {
            "username": target.user or None,
            "password": password.reveal() if password is not None else None,
            "socket_connect_timeout": max(connect_timeout, 0.001),
            "socket_timeout": max(timeout, 0.001),
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "decode_responses": True,
            "encoding_errors": "backslashreplace",
            "driver_info": None,  # CLIENT SETINFO is a NOPERM in the server's log for a user with +info +ping
            "redis_connect_func": self._greet,
        }
        kind: Callable[..., object] = redis.Connection
        if host.startswith("/"):
            kind = redis.UnixDomainSocketConnection
            options["path"] = host
        else:
            options["host"] = host
            options["port"] = target.port or 6379
            if tls is not None:
                kind = redis.SSLConnection
                options.update(tls.driver_options())
        self._driver = cast("_Driver", kind(**options))

    def open(self, phase: Callable[[], str]) -> None:
        """Connect and log in. `phase` says afterwards how far it came. Raises TargetError."""
        try:
            self._driver.connect()
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes a reason
            self.abort()
            raise target_error(error, phase(), self._target, self._password) from None
        self._opened = True
        self._select()

    def ask(self, command: str, deadline: Deadline, *arguments: str) -> object:
        """The answer to one allowed command. Raises CheckError; after ConnectionLost the wire is closed."""
        return self._ask(words_of(command, *arguments), command, deadline.remaining)

    @property
    def closed(self) -> bool:
        return self._ended.is_set()

    @property
    def gone_quietly(self) -> bool:
        """True when the server has closed the connection while nobody asked anything."""
        try:
            return self._driver.can_read(0)
        except Exception:  # noqa: BLE001 - whatever it is, the connection is of no use
            return True

    def abort(self) -> None:
        """Shut the socket; a blocked call ends at once. Any thread; never blocks."""
        self._ended.set()
        with contextlib.suppress(Exception):  # its own thread may be closing it at this very moment
            self._driver.disconnect()

    def _ask(self, words: tuple[str, ...], command: str, timeout: float) -> object:
        if self._ended.is_set():
            raise ConnectionLost(Reason.CONNECTION_LOST, "the connection is closed", step=command)
        if timeout <= 0:
            raise CheckError(Reason.TIMEOUT, f"no time was left for {command}", step=command)
        try:
            self._driver.send_command(*words)
            reply = self._driver.read_response(timeout=timeout)
        except Exception as error:
            if self._ended.is_set():  # the driver trips over the socket that was shut under it, in many ways
                lost = ConnectionLost(Reason.CONNECTION_LOST, f"the connection was shut during {command}", step=command)
                raise lost from error
            failure = check_error(error, command, self._user)
            if isinstance(failure, ConnectionLost):
                self.abort()
            raise failure from error
        self.used = time.monotonic()
        return reply

    def _greet(self, driver: _Driver) -> None:
        """Runs between TCP or TLS and the login. The driver reconnects whenever it is closed; we do not."""
        if self._opened or self._ended.is_set():
            raise redis.ConnectionError("the connection is closed")
        self._on_connected()
        driver.on_connect()

    def _select(self) -> None:
        """Choose the database of the URL. Nothing we ask depends on it, so only a number that cannot be is an error."""
        number = self._target.database
        if number in ("", "0"):
            return
        try:
            self._driver.send_command("SELECT", number)
            self._driver.read_response(timeout=5.0)
        except redis.ResponseError as error:
            if "out of range" in str(error):
                self.abort()
                raise no_database(self._target) from None
        except Exception as error:
            self.abort()
            raise target_error(error, "select", self._target) from error
