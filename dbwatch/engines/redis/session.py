"""Owns one open connection's work: facts, and one check at a time. Used by one thread; `abort` by any."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Answer, Measurement
from dbwatch.engines.hosts import Hosts
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis.asking import Asking, Refusals, knock
from dbwatch.engines.redis.commands import Fields, fields_of, lines_of, split_command
from dbwatch.engines.redis.errors import first_command_error
from dbwatch.engines.redis.facts import facts_of
from dbwatch.engines.redis.fields import row_of
from dbwatch.engines.redis.opening import Opening
from dbwatch.engines.redis.peers import Peers
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.engines.redis.probes import PROBES
from dbwatch.engines.redis.wire import Wire
from dbwatch.errors import CheckError, ConnectionLost, Skipped, TargetError
from dbwatch.model import Facts, RawRow, Reason

INFO_AGE_SECONDS = 1.0
_IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Info:
    """One reading of INFO and the checks that have used it."""

    fields: Fields
    read_at: float
    seconds: float
    used_by: frozenset[str] = frozenset()


class RedisSession:
    """A connection that answers checks until it is closed."""

    def __init__(self, target: Target, memory: Memory, peers: Peers, hosts: Hosts) -> None:
        self._target = target
        self._memory = memory
        self._peers = peers
        self._hosts = hosts
        self._wire: Wire | None = None
        self._opening: Opening | None = None
        self._info: _Info | None = None
        self._refusals = Refusals(target.user or "default", memory)
        self._ended = False
        self._step = "connect"
        self._facts = facts_of({}, target)

    def open(self, deadline: Deadline) -> None:
        """Connect and learn the facts. Raises TargetError."""
        self._opening = opening = Opening(self._target, deadline)
        self._wire = opening.within(lambda wire: self._learn(wire, opening, deadline))
        self._opening = None
        if self._ended:
            self._wire.abort()

    @property
    def facts(self) -> Facts:
        return self._facts

    @property
    def step(self) -> str:
        return self._step

    @property
    def closed(self) -> bool:
        return self._ended or self._wire is None or self._wire.closed

    @property
    def lost(self) -> bool:
        return False  # it opens anew by itself

    def refresh(self, deadline: Deadline) -> Facts:
        self._refusals.forget()
        try:
            info = self._fresh_info(self._live_wire(deadline), deadline)
        except Skipped:
            return self._facts
        self._facts = facts_of(info.fields, self._target, self._refusals.names)
        return self._facts

    def measure(self, check: Check, deadline: Deadline) -> Measurement:
        wire = self._live_wire(deadline)
        try:
            if check.probe is not None:
                return self._probed(check, wire, deadline)
            return self._asked(check, wire, deadline)
        except Skipped as error:
            self._refusals.note(error)
            raise
        finally:
            if self._facts.privileges & self._refusals.names:
                self._facts = replace(self._facts, privileges=self._facts.privileges - self._refusals.names)

    def look(self, question: str, deadline: Deadline, *, limit: int) -> Answer:
        command, arguments = split_command(question)
        reply = self._asking(self._live_wire(deadline), deadline).ask(command, *arguments)
        lines = lines_of(reply)
        return Answer(("",), tuple((line,) for line in lines[:limit]), truncated=len(lines) > limit)

    def cancel(self) -> None:
        """Redis has no way to cancel; its commands are short, and a stuck server is left by `abort`."""

    def abort(self) -> None:
        self._ended = True
        opening, wire = self._opening, self._wire  # their own thread may clear them at this very moment
        if opening is not None:
            opening.abandon()
        if wire is not None:
            wire.abort()

    def close(self) -> None:
        self.abort()

    def _learn(self, wire: Wire, opening: Opening, deadline: Deadline) -> Wire:
        opening.phase = "facts"
        self._info = None
        try:
            fields = self._fresh_info(wire, deadline).fields
        except Skipped:
            fields = {}  # a server we may not look into is up all the same; its checks say why they are skipped
        except CheckError as error:
            wire.abort()
            raise first_command_error(error, "facts", self._target) from error
        self._facts = facts_of(fields, self._target, self._refusals.names)
        return wire

    def _live_wire(self, deadline: Deadline) -> Wire:
        """The wire, opened anew when the server has closed it while it lay idle (its setting `timeout`, a restart)."""
        wire = self._wire
        if wire is None or self.closed:
            raise ConnectionLost(Reason.CONNECTION_LOST, "the connection is closed", step="connect")
        if time.monotonic() - wire.used < _IDLE_SECONDS or not wire.gone_quietly:
            return wire
        self._step = "connect"
        wire.abort()
        try:
            self.open(deadline)
        except TargetError as error:
            raise ConnectionLost(error.reason, str(error), step=error.phase) from error
        assert self._wire is not None
        return self._wire

    def _probed(self, check: Check, wire: Wire, deadline: Deadline) -> Measurement:
        probe = PROBES.get(check.probe or "")
        if probe is None:
            known = ", ".join(sorted(PROBES))
            message = f"the Redis engine has no probe {check.probe}; it has {known}"
            raise CheckError(Reason.ERROR, message, step="probe")
        for command in probe.commands:
            self._refusals.stop(command)
        info, seconds = self._recent_info(check, wire, deadline)
        asking = self._asking(wire, deadline)
        context = ProbeContext(
            info=info.fields,
            ask=asking.ask,
            knock=lambda command="PING": knock(self._target, deadline, command),
            remaining=lambda: deadline.remaining,
            facts=self._facts,
            check=check,
            target=self._target,
            memory=self._memory,
            peers=self._peers,
            hosts=self._hosts,
        )
        return _whole(check, probe.look(context), seconds + asking.seconds, info.read_at)

    def _asked(self, check: Check, wire: Wire, deadline: Deadline) -> Measurement:
        command = check.command or ""
        if command == "INFO":
            info, seconds = self._recent_info(check, wire, deadline)
            return _whole(check, (row_of(check, info.fields),), seconds, info.read_at)
        asking = self._asking(wire, deadline)
        fields = fields_of(asking.ask(command))
        return _whole(check, (row_of(check, fields),), asking.seconds, time.monotonic())

    def _asking(self, wire: Wire, deadline: Deadline) -> Asking:
        return Asking(wire, deadline, self._refusals, self._at)

    def _at(self, step: str) -> None:
        self._step = step

    def _recent_info(self, check: Check, wire: Wire, deadline: Deadline) -> tuple[_Info, float]:
        """INFO of the last second, and the server's time it cost now. No check gets one reading twice.

        So a pass of many checks costs one round trip, and two samples of one check are always two.
        """
        info = self._info
        seconds = 0.0
        if info is None or check.name in info.used_by or time.monotonic() - info.read_at >= INFO_AGE_SECONDS:
            info = self._fresh_info(wire, deadline)
            seconds = info.seconds
        self._info = replace(info, used_by=info.used_by | {check.name})
        return info, seconds

    def _fresh_info(self, wire: Wire, deadline: Deadline) -> _Info:
        """All sections: commandstats and latencystats are not among those INFO gives by itself."""
        asking = self._asking(wire, deadline)
        fields = fields_of(asking.ask("INFO", "all"))
        self._info = _Info(fields, time.monotonic(), asking.seconds)
        return self._info


def _whole(check: Check, rows: tuple[RawRow, ...], seconds: float, read_at: float) -> Measurement:
    return Measurement(rows[: check.limit], seconds, read_at, truncated=len(rows) > check.limit)
