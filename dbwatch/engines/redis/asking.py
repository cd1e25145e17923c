"""Owns asking within one run: every command timed, and none sent that this user was refused shortly before.

A refused command leaves a line in the server's ACL log, which is short: at every new reading of the facts they would
push out what somebody may look for. So a refusal is remembered beyond the session, each time for longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis.commands import acl_name, acl_rule
from dbwatch.engines.redis.opening import Opening
from dbwatch.engines.redis.wire import Wire
from dbwatch.errors import CheckError, Skipped, TargetError
from dbwatch.model import Reason

_FIRST_WAIT_SECONDS: Final = 240.0
"""Less than the age of facts, so that what is granted soon after the start is seen with the next facts."""
_LONGEST_WAIT_SECONDS: Final = 3600.0
_ASKED_ANEW: Final = frozenset({"info", "ping"})
"""Without them nothing is known of a server, so each new reading of the facts and each new session tries them."""


@dataclass(slots=True)
class _Refusal:
    """Of one command. While it stands, the command is not sent."""

    reason: Reason
    text: str
    again_at: float
    wait_seconds: float = _FIRST_WAIT_SECONDS
    stands: bool = True


@dataclass(slots=True)
class _Refused:
    """By ACL name, so at most as many as there are commands of ours."""

    commands: dict[str, _Refusal] = field(default_factory=dict)


class Refusals:
    """The commands this user was seen not to have (`names`) and those the server has not, by their ACL names."""

    def __init__(self, user: str, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self._user = user
        self._commands = memory.of(_Refused).commands
        self._clock = clock
        self.forget()

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, one in self._commands.items() if one.stands and one.reason is Reason.PRIVILEGE)

    def forget(self) -> None:
        """Let those be tried again whose time has come: they may have been allowed since."""
        now = self._clock()
        for one in self._commands.values():
            one.stands = one.stands and now < one.again_at

    def note(self, error: CheckError) -> None:
        if error.reason is Reason.PRIVILEGE and error.step is not None:
            self._keep(error.step, error)

    def note_unknown(self, command: str, error: CheckError) -> None:
        """The server itself answered that it has no such command; each attempt counts as an error there."""
        if error.reason is Reason.PLATFORM:
            self._keep(command, error)

    def stop(self, command: str) -> None:
        """Raises Skipped when the command was refused before, as it was then."""
        one = self._commands.get(acl_name(command))
        if one is None or not one.stands:
            return
        if one.reason is Reason.PLATFORM:
            raise Skipped(Reason.PLATFORM, one.text, step=command)
        rule = f"ACL SETUSER {self._user} {acl_rule(command)}"
        text = f"the user {self._user} may not run {command}; allow it: {rule}"
        raise Skipped(Reason.PRIVILEGE, text, step=command)

    def _keep(self, command: str, error: CheckError) -> None:
        name, now = acl_name(command), self._clock()
        if name in _ASKED_ANEW:
            self._commands[name] = _Refusal(error.reason, str(error), now)
            return
        before = self._commands.get(name)
        if before is None:
            self._commands[name] = _Refusal(error.reason, str(error), now + _FIRST_WAIT_SECONDS)
        elif not before.stands:
            wait = min(2 * before.wait_seconds, _LONGEST_WAIT_SECONDS)
            self._commands[name] = _Refusal(error.reason, str(error), now + wait, wait)


class Asking:
    """The commands of one run over one wire; `seconds` is what they took the server together."""

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
            self.seconds += self._wire.round_trip.without(time.monotonic() - started)


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
        if error.reason is Reason.ERROR:
            return None  # no refusal: PING is answered so while the disk is full
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
