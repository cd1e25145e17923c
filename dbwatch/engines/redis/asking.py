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
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import Reason


class Refusals:
    """The commands this user was seen not to have, by their ACL names."""

    def __init__(self, user: str) -> None:
        self._user = user
        self.names: frozenset[str] = frozenset()

    def forget(self) -> None:
        self.names = frozenset()

    def note(self, error: CheckError) -> None:
        if error.reason is Reason.PRIVILEGE and error.step is not None:
            self.names |= {acl_name(error.step)}

    def stop(self, command: str) -> None:
        """Raises Skipped(privilege) when the command was refused before."""
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
            raise
        finally:
            self.seconds += time.monotonic() - started


def knock(target: Target, deadline: Deadline) -> CheckError | None:
    """Whether a stranger is let in: a connection of its own, no credentials, PING. None when that was answered."""
    stranger = replace(target, user="", password=None)
    try:
        Opening(stranger, deadline).within(lambda wire: _ping_and_leave(wire, deadline))
    except CheckError as error:
        return error
    return None


def _ping_and_leave(wire: Wire, deadline: Deadline) -> None:
    try:
        wire.ask("PING", deadline)
    finally:
        wire.abort()
