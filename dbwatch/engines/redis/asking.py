"""Owns asking within one run: every command timed, and none sent that this user was refused before.

A refused command leaves a line in the server's ACL log, so one refusal is remembered until the facts are read anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.redis.commands import acl_name, acl_rule
from dbwatch.engines.redis.opening import Opening
from dbwatch.engines.redis.wire import Wire
from dbwatch.errors import CheckError, Skipped, TargetError
from dbwatch.model import Reason


class Refusals:
    """The commands this user was seen not to have (`names`) and those the server has not, by their ACL names."""

    def __init__(self, user: str) -> None:
        self._user = user
        self.names: frozenset[str] = frozenset()
        self._unknown: dict[str, str] = {}

    def forget(self) -> None:
        self.names = frozenset()
        self._unknown.clear()

    def note(self, error: CheckError) -> None:
        if error.reason is Reason.PRIVILEGE and error.step is not None:
            self.names |= {acl_name(error.step)}

    def note_unknown(self, command: str, error: CheckError) -> None:
        """The server itself answered that it has no such command; each attempt counts as an error there."""
        if error.reason is Reason.PLATFORM:
            self._unknown[acl_name(command)] = str(error)

    def stop(self, command: str) -> None:
        """Raises Skipped when the command was refused before, as it was then."""
        if (text := self._unknown.get(acl_name(command))) is not None:
            raise Skipped(Reason.PLATFORM, text, step=command)
        if acl_name(command) in self.names:
            rule = f"ACL SETUSER {self._user} {acl_rule(command)}"
            text = f"the user {self._user} may not run {command}; allow it: {rule}"
            raise Skipped(Reason.PRIVILEGE, text, step=command)


class Asking:
    """The commands of one run over one wire; `seconds` is what they took together."""

    def __init__(self, wire: Wire, deadline: Deadline, refusals: Refusals, on_step: Callable[[str], None]) -> None:
        self._wire = wire
        self._deadline = deadline
        self._refusals = refusals
        self._on_step = on_step
        self.seconds = 0.0

    def ask(self, command: str, *arguments: str) -> object:
        self._refusals.stop(command)
        self._on_step(command)
        started = time.monotonic()
        try:
            return self._wire.ask(command, self._deadline, *arguments)
        except Skipped as error:
            self._refusals.note(error)
            self._refusals.note_unknown(command, error)
            raise
        finally:
            self.seconds += time.monotonic() - started


_CERTIFICATE_OPTIONS = frozenset({"sslcert", "sslkey", "ssl_certfile", "ssl_keyfile"})
_TURNED_AWAY = frozenset({Reason.TLS, Reason.CONNECTION_LOST})


def knock(target: Target, deadline: Deadline, command: str = "PING") -> CheckError | None:
    """Whether a stranger is let in: a connection of its own, no credentials, one command. None when that was answered.

    A client certificate is a credential too; a server that wants one ends the connection.
    """
    options = {name: value for name, value in target.options.items() if name not in _CERTIFICATE_OPTIONS}
    stranger = replace(target, user="", password=None, database="", options=options)
    try:
        Opening(stranger, deadline).within(lambda wire: _ask_and_leave(wire, command, deadline))
    except CheckError as error:
        refusal = error
    except TargetError as error:
        refusal = CheckError(error.reason, str(error), step=error.phase)
    else:
        return None
    if len(options) < len(target.options) and refusal.reason in _TURNED_AWAY:
        return CheckError(Reason.AUTH, f"turned away without a client certificate: {refusal}", step=refusal.step)
    return refusal


def _ask_and_leave(wire: Wire, command: str, deadline: Deadline) -> None:
    try:
        wire.ask(command, deadline)
    finally:
        wire.abort()
