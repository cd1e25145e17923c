"""Owns reading how long commands take and how busy the main thread is, since the previous look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.growth import Growth
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import percent_text

MOST_COMMANDS = 100
_MOST_TOLD = 3
_OUR_OWN_TIME = re.compile(r"(psync|sync|replconf|debug|shutdown|bgsave|save|bgrewriteaof|failover)(\|.*)?")
"""What an operator or a replica asks for: long by nature, and no application waits behind a choice it could make."""


@dataclass(frozen=True, slots=True)
class _Command:
    """One line of commandstats, the times in seconds."""

    name: str
    calls: float
    seconds: float


class _SlowTimes(Growth):
    """Calls and seconds of each command at the previous look of the slow commands."""


class _BusyTimes(Growth):
    """The same at the previous look of the main thread, which has its own interval."""


def slow_commands(context: ProbeContext) -> Rows:
    """A row for each command that was ever called: its totals, and its mean since the previous look."""
    found = [command for command in _commands(context.info) if not _OUR_OWN_TIME.fullmatch(command.name)]
    grown = context.memory.of(_SlowTimes).since(_counters(found))
    found.sort(key=lambda command: (-_recent(grown, command).seconds, -command.seconds, command.name))
    return tuple(_row(command, None if grown is None else _recent(grown, command)) for command in found[:MOST_COMMANDS])


def main_thread(context: ProbeContext) -> Rows:
    """How long the thread that runs all commands was busy.

    Valkey 9.1 counts the time it works; before, and on Redis, there is its CPU time, which threads that poll inflate.
    """
    info = context.info
    active = number(info, "used_active_time_main_thread")
    parts = [number(info, f"used_cpu_{part}_main_thread") for part in ("user", "sys")]
    cpu = sum(part for part in parts if part is not None) if None not in parts else None
    if active is None and cpu is None:
        raise Skipped(Reason.VERSION, "this server does not count the time of its main thread; Redis 6.2 and later do")
    commands = tuple(_commands(info))
    grown = context.memory.of(_BusyTimes).since(_counters(commands))
    total = [number(info, "used_cpu_user"), number(info, "used_cpu_sys")]
    children = [number(info, "used_cpu_user_children"), number(info, "used_cpu_sys_children")]
    row: RawRow = {
        "busy_seconds": active if active is not None else cpu,
        "cpu_seconds": _sum(total),
        "child_cpu_seconds": _sum(children),
        "busiest": _busiest(commands, grown),
    }
    return (row,)


def _commands(info: Fields) -> tuple[_Command, ...]:
    found = []
    for field in info:
        if not (field.startswith("cmdstat_") and field.endswith(".calls")):
            continue
        name = field.removeprefix("cmdstat_").removesuffix(".calls")
        calls, usec = number(info, field), number(info, f"cmdstat_{name}.usec")
        if calls and usec is not None:
            found.append(_Command(name, calls, usec / 1e6))
    return tuple(found)


def _counters(commands: tuple[_Command, ...] | list[_Command]) -> Mapping[str, float]:
    return {
        **{f"{command.name}.calls": command.calls for command in commands},
        **{f"{command.name}.seconds": command.seconds for command in commands},
    }


def _recent(grown: Mapping[str, float] | None, command: _Command) -> _Command:
    if grown is None:
        return _Command(command.name, 0.0, 0.0)
    return _Command(command.name, grown[f"{command.name}.calls"], grown[f"{command.name}.seconds"])


def _row(command: _Command, recent: _Command | None) -> RawRow:
    """`usual_seconds` is the mean of all calls before the previous look; NULL when there were none."""
    calls_before = command.calls - recent.calls if recent is not None else 0.0
    seconds_before = command.seconds - recent.seconds if recent is not None else 0.0
    return {
        "command": command.name,
        "calls": command.calls,
        "seconds": command.seconds,
        "recent_calls": recent.calls if recent is not None else None,
        "recent_seconds": recent.seconds if recent is not None else None,
        "mean_seconds": recent.seconds / recent.calls if recent is not None and recent.calls else None,
        "usual_seconds": max(0.0, seconds_before) / calls_before if calls_before > 0 else None,
    }


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _busiest(commands: tuple[_Command, ...], grown: Mapping[str, float] | None) -> str | None:
    """`eval 92 %, get 5 %`: the commands that took most of the time since the previous look, by their share of it."""
    if grown is None:
        return None
    recent = sorted((_recent(grown, command) for command in commands), key=lambda c: (-c.seconds, c.name))
    total = sum(command.seconds for command in recent)
    if not total:
        return None
    named = [f"{c.name} {percent_text(c.seconds / total)}" for c in recent[:_MOST_TOLD] if c.seconds]
    return ", ".join(named)
