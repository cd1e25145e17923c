"""Owns counting a primary's replicas: those expected, those it needs to take writes, those that copied everything anew.

A replica has no name, only an address that a restart may change, so replicas are counted and never told apart.
Judges nothing.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from dbwatch.engines.redis.commands import Fields, fields_of
from dbwatch.engines.redis.fields import error_count, number
from dbwatch.engines.redis.identity import role_of
from dbwatch.engines.redis.probe import ProbeContext
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import RawRow, Reason, Role
from dbwatch.units import duration_text

STEADY_SECONDS = 300.0
"""So long a number of replicas must have held to be missed afterwards."""
FORGOTTEN_SECONDS = 86_400.0
RECENT_SECONDS = 900.0
_MOST = 100
_MOST_LOOKS = 200


@dataclass(slots=True)
class _Stretch:
    first: float
    last: float

    @property
    def is_steady(self) -> bool:
        return self.last - self.first >= STEADY_SECONDS


@dataclass(slots=True)
class Usual:
    """For each number of replicas, when there were at least so many."""

    stretches: dict[int, _Stretch] = field(default_factory=dict)

    def note(self, count: int, now: float) -> None:
        for number_ in range(1, min(count, _MOST) + 1):
            self.stretches.setdefault(number_, _Stretch(now, now)).last = now
        for number_, stretch in list(self.stretches.items()):
            if number_ > count and (not stretch.is_steady or now - stretch.last > FORGOTTEN_SECONDS):
                del self.stretches[number_]

    @property
    def most(self) -> int:
        return max(self.stretches, default=0)

    def absent_seconds(self, now: float) -> float:
        """Time since there were as many as at most."""
        stretch = self.stretches.get(self.most)
        return now - stretch.last if stretch is not None else 0.0


def missing(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row of a primary: how many replicas there should be and are not, by the configuration or by what was."""
    usual = context.memory.of(Usual)
    connected = _connected(context.info)
    if role_of(context.info) is not Role.PRIMARY:
        usual.stretches.clear()
        raise Skipped(Reason.ROLE, "runs on a primary, this is a replica")
    now = time.monotonic()
    usual.note(connected, now)
    expected = context.target.expect.replica_count
    wanted = usual.most if expected is None else expected
    absent = usual.absent_seconds(now) if expected is None else None
    row: RawRow = {
        "missing": float(max(0, wanted - connected)),
        "connected": float(connected),
        "wanted": float(wanted),
        "expected": float(expected is not None),
        "absent_seconds": absent,
        "told": _told(connected, wanted, absent, names=bool(context.target.expect.replicas)),
    }
    return (row,)


def _told(connected: int, wanted: int, absent: float | None, *, names: bool) -> str:
    text = f"{connected} of {wanted} replicas are connected"
    if absent is not None:
        return f"{text}; there were {wanted} until {duration_text(absent)} ago"
    if names:
        return f"{text} (a replica of Redis has no name, so `expect.replicas` counts here)"
    return text


def needed_for_writes(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row of a primary that takes writes only with enough good replicas."""
    info = context.info
    good = number(info, "min_slaves_good_slaves")
    if good is None:
        raise Skipped(Reason.SETTING, "min-replicas-to-write is 0, so no write waits for replicas")
    if role_of(info) is not Role.PRIMARY:
        raise Skipped(Reason.ROLE, "runs on a primary, this is a replica")
    try:
        needed = number(fields_of(context.ask("CONFIG GET", "min-replicas-to-write")), "min-replicas-to-write")
    except Skipped:
        needed = None
    row: RawRow = {
        "good": good,
        "needed": needed,
        "refused": error_count(info, "NOREPLICAS"),
        "told": f"{good:.0f} good replicas, and {'some number' if needed is None else f'{needed:.0f}'} are needed",
    }
    return (row,)


@dataclass(frozen=True, slots=True)
class _Counted:
    """One look: our monotonic clock, and the counters then."""

    at: float
    full: float
    refused: float
    written: float


@dataclass(slots=True)
class _Lately:
    """The looks of the last minutes at one run of the server, oldest first."""

    run_id: str | None = None
    looks: deque[_Counted] = field(default_factory=lambda: deque(maxlen=_MOST_LOOKS))

    def add(self, run_id: str | None, look: _Counted) -> None:
        """A restart, CONFIG RESETSTAT and another primary's stream begin anew."""
        last = self.looks[-1] if self.looks else look
        fell = look.full < last.full or look.refused < last.refused or look.written < last.written
        if fell or run_id != self.run_id:
            self.looks.clear()
            self.run_id = run_id
        self.looks.append(look)
        while look.at - self.looks[0].at > RECENT_SECONDS:
            self.looks.popleft()


def resyncs(context: ProbeContext) -> tuple[RawRow, ...]:
    """One row: how often replicas had to copy everything lately, and how much of the stream the backlog holds."""
    info = context.info
    full, refused = number(info, "sync_full"), number(info, "sync_partial_err")
    written = number(info, "master_repl_offset")
    if full is None or refused is None or written is None:
        raise CheckError(Reason.BAD_RESULT, "INFO does not count how replicas were synchronised", step="result")
    look = _Counted(time.monotonic(), full, refused, written)
    lately = context.memory.of(_Lately)
    lately.add(info.get("run_id"), look)
    first = lately.looks[0]
    watched, grown = look.at - first.at, written - first.written
    backlog = number(info, "repl_backlog_size")
    row: RawRow = {
        "replicas": number(info, "connected_slaves"),
        "refused": refused,
        "resumed": number(info, "sync_partial_ok"),
        "backlog_seconds": backlog * watched / grown if backlog is not None and grown > 0 else None,
        "watched_seconds": watched,
        "backlog_size": backlog,
        "up_seconds": number(info, "uptime_in_seconds"),
        "recent_copies": full - first.full,
        "recent_refusals": refused - first.refused,
    }
    return (row,)


def _connected(info: Fields) -> int:
    connected = number(info, "connected_slaves")
    if connected is None:
        raise CheckError(Reason.BAD_RESULT, "INFO does not tell the number of replicas", step="result")
    return int(connected)
