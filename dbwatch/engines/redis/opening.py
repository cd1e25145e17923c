"""Owns getting to a logged-in connection within a deadline: password, name, TLS, addresses one after another.

The work is done aside, because some of it (the name server, a password command, a server that sends one
byte a minute) has no time limit that holds. Knows no facts and no checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from dbwatch.engines.redis.tls import Tls, tls_of
from dbwatch.engines.redis.wire import Wire
from dbwatch.engines.resolve import resolve
from dbwatch.errors import TargetError
from dbwatch.model import Reason
from dbwatch.secret import Secret

T = TypeVar("T")
_GRACE_SECONDS = 0.25
"""The limits inside explain themselves better than this one, so they strike first."""
_NEXT_ADDRESS = frozenset({Reason.REFUSED, Reason.UNREACHABLE, Reason.TIMEOUT})

_openings = Aside("dbwatch-redis-connect", most_calls=2000)


class Opening:
    """One attempt to connect. `phase` is the step it is at, `seconds` how long it took to be logged in."""

    def __init__(self, target: Target, deadline: Deadline) -> None:
        self.phase = "password"
        self.seconds: float | None = None
        self._target = target
        self._deadline = deadline
        self._wire: Wire | None = None
        self._abandoned = False

    def within(self, work: Callable[[Wire], T]) -> T:
        """Connect and do `work` with the wire, all before the deadline. Raises TargetError or what `work` raises."""
        try:
            return _openings.within(Deadline(self._deadline.at + _GRACE_SECONDS), self, lambda: work(self._connected()))
        except UnfinishedError:
            self.abandon()
            message = f"{self._target.address} gave no answer in time at step {self.phase}"
            raise TargetError(Reason.TIMEOUT, self.phase, message) from None
        except CrowdedError:
            message = "too many connection attempts hang already"
            raise TargetError(Reason.RESOURCES, self.phase, message) from None

    def abandon(self) -> None:
        """End the attempt. Any thread."""
        self._abandoned = True
        if self._wire is not None:
            self._wire.abort()

    def _connected(self) -> Wire:
        started = time.monotonic()
        target = self._target
        password = target.password.read() if target.password is not None else None
        self.phase = "tls"
        tls = tls_of(target)
        self.phase = "resolve"
        hosts = self._hosts(tls)
        for position, host in enumerate(hosts, 1):
            try:
                wire = self._open(host, tls, password, len(hosts) - position + 1)
            except TargetError as error:
                if position == len(hosts) or error.phase != "connect" or error.reason not in _NEXT_ADDRESS:
                    raise
            else:
                self.seconds = time.monotonic() - started
                return wire
        raise TargetError(Reason.DNS, "resolve", f"the name {target.host!r} has no address")

    def _hosts(self, tls: Tls | None) -> tuple[str, ...]:
        host = self._target.host or "localhost"
        if host.startswith("/"):
            return (host,)
        addresses = resolve(host, self._target.port, self._deadline)
        # A certificate is checked against the name, and the driver takes the name from the host it connects to.
        return (host,) if tls is not None and tls.verify_name else addresses

    def _open(self, host: str, tls: Tls | None, password: Secret | None, hosts_left: int) -> Wire:
        self.phase = "connect"
        left = self._deadline.remaining
        self._wire = wire = Wire(
            self._target,
            host,
            tls,
            password,
            connect_timeout=left / hosts_left,
            timeout=left,
            on_connected=self._logging_in,
        )
        if self._abandoned:
            wire.abort()
        wire.open(lambda: self.phase)
        return wire

    def _logging_in(self) -> None:
        self.phase = "auth"
