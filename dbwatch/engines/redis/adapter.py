"""Owns the Redis side of the seam: sessions, the reachability row, remedies."""

from __future__ import annotations

import time

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.engines.hosts import Hosts
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis.commands import acl_rule
from dbwatch.engines.redis.errors import first_command_error, is_loading
from dbwatch.engines.redis.opening import Opening
from dbwatch.engines.redis.peers import Peers
from dbwatch.engines.redis.probes import PROBES
from dbwatch.engines.redis.session import RedisSession
from dbwatch.engines.redis.wire import Wire
from dbwatch.errors import CheckError, TargetError
from dbwatch.model import Engine, Facts, RawRow, Reason
from dbwatch.units import duration_text

_ANSWERS_ALL_THE_SAME = frozenset({Reason.PRIVILEGE, Reason.PLATFORM, Reason.ERROR})


class RedisAdapter:
    """Redis and Valkey. One a lane: its memory is the target's."""

    def __init__(self, peers: Peers | None = None, hosts: Hosts | None = None) -> None:
        self._hosts = hosts if hosts is not None else Hosts()
        self._memory = Memory()
        self._peers = peers if peers is not None else Peers()

    @property
    def engine(self) -> Engine:
        return Engine.REDIS

    def connect(self, target: Target, deadline: Deadline) -> RedisSession:
        session = RedisSession(target, self._memory, self._peers, self._hosts)
        session.open(deadline)
        return session

    def reach(self, target: Target, deadline: Deadline) -> Measurement:
        opening = Opening(target, deadline)
        started = time.monotonic()
        try:
            row, seconds = opening.within(lambda wire: _ping(wire, opening, target, deadline))
        except TargetError as error:
            row, seconds = _down(error, opening.seconds), time.monotonic() - started
        return Measurement((row,), seconds, time.monotonic())

    def remedy(self, error: CheckError, check: Check, facts: Facts) -> str | None:
        """All rules the check needs at once, so that nobody is sent back for the second one."""
        if error.remedy is not None:
            return error.remedy
        if error.reason is not Reason.PRIVILEGE:
            return None
        probe = PROBES.get(check.probe or "")
        needed = ["INFO", "PING", *([check.command] if check.command else []), *(probe.commands if probe else ())]
        if error.step is not None:
            needed.append(error.step)
        rules = dict.fromkeys(acl_rule(command) for command in needed)
        return f"ACL SETUSER {facts.user} {' '.join(rules)}"


def _ping(wire: Wire, opening: Opening, target: Target, deadline: Deadline) -> tuple[RawRow, float]:
    """The row of a server that let us in, and the seconds PING took."""
    opening.phase = "ping"
    started = time.monotonic()
    refused: CheckError | None = None
    try:
        wire.ask("PING", deadline)
    except CheckError as error:
        if error.reason not in _ANSWERS_ALL_THE_SAME:
            raise first_command_error(error, "ping", target) from error
        refused = error
    finally:
        seconds = time.monotonic() - started
        wire.abort()
    message = f"answered PING in {duration_text(seconds)}"
    if refused is not None:
        message = f"answers, though not to PING: {refused}"
    row = {"up": 1.0, "starting": 0.0, "connect_seconds": opening.seconds, "ping_seconds": seconds}
    return {**row, "phase": None, "reason": None, "message": message}, seconds


def _down(error: TargetError, connect_seconds: float | None) -> RawRow:
    row: dict[str, float | str | None] = {
        "up": 0.0,
        "starting": float(is_loading(error)),
        "connect_seconds": connect_seconds,
        "ping_seconds": None,
    }
    return {**row, "phase": error.phase, "reason": str(error.reason), "message": str(error)}
