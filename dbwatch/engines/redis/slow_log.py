"""Owns reading the slow log, and on Valkey the log of large messages: how many new entries, how long, the slowest.

Ids survive SLOWLOG RESET and start anew with the server. Arguments are user data: of an entry only the name of the
command leaves this module. Judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from dbwatch.engines.redis.commands import Fields, fields_of
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

SLOWLOG, COMMANDLOG, SETTINGS = "SLOWLOG GET", "COMMANDLOG GET", "CONFIG GET"

_MOST_READ = 128
"""The log's own default length."""
_THRESHOLD = "slowlog-log-slower-than"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,29}")
"""A command by its name. A renamed one may have a name that is meant as a secret."""
_DIRECTIONS = ("request", "reply")


@dataclass(frozen=True, slots=True)
class _Entry:
    """`amount` is microseconds in the slow log, bytes in the others."""

    id: int
    amount: float
    command: str


@dataclass(slots=True)
class _Log:
    """One log as far as it was read: `newest` is None while it was only ever seen empty."""

    run_id: str | None = None
    newest: int | None = None
    entries: float = 0.0
    amount: float = 0.0


@dataclass(slots=True)
class _Logs:
    of: dict[str, _Log] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _News:
    """What came since the last look; of a flood only the newest are read."""

    log: _Log
    read: tuple[_Entry, ...] = ()

    @property
    def worst(self) -> _Entry | None:
        return max(self.read, key=lambda entry: entry.amount, default=None)


def slow_commands(context: ProbeContext) -> Rows:
    """One row: slow commands and their time since the first look, and the slowest of the newest."""
    info = context.info
    counted, counted_ms = number(info, "slowlog_commands_count"), number(info, "slowlog_commands_time_ms_sum")
    try:
        news = _news(context, "slow", SLOWLOG)
    except Skipped:
        if counted is None:
            raise
        news = _News(_Log())  # Redis 8.8 tells the totals to everybody
    if counted is None and not news.read:
        _stop_if_off(context)
    worst = news.worst
    total = news.log.amount / 1e6 if counted is None else (counted_ms or 0.0) / 1e3
    row: RawRow = {
        "entries": news.log.entries if counted is None else counted,
        "slow_seconds": total,
        "mean_seconds": sum(entry.amount for entry in news.read) / len(news.read) / 1e6 if news.read else None,
        "slowest_seconds": worst.amount / 1e6 if worst is not None else None,
        "slowest": worst.command if worst is not None else None,
    }
    return (row,)


def large_messages(context: ProbeContext) -> Rows:
    """A row a direction: requests or replies above the server's own threshold since the first look."""
    return tuple(_direction(context, direction) for direction in _DIRECTIONS)


def _direction(context: ProbeContext, direction: str) -> RawRow:
    kind = f"large-{direction}"
    news = _news(context, kind, COMMANDLOG, kind)
    worst = news.worst
    return {
        "direction": direction,
        "messages": news.log.entries,
        "largest_bytes": worst.amount if worst is not None else None,
        "largest": worst.command if worst is not None else None,
    }


def _news(context: ProbeContext, name: str, command: str, *kind: str) -> _News:
    """Read the newest entry, and the others only when there are new ones."""
    log = context.memory.of(_Logs).of.setdefault(name, _Log())
    run_id = context.info.get("run_id")
    first_look, same_run = log.run_id is None, log.run_id == run_id
    known, log.run_id = log.newest if same_run else None, run_id
    newest = _entries(context.ask(command, "1", *kind))
    if not newest:
        log.newest = known
        return _News(log)
    log.newest = newest[0].id
    if first_look or known == newest[0].id:
        return _News(log)
    read = [
        entry for entry in _entries(context.ask(command, str(_MOST_READ), *kind)) if known is None or entry.id > known
    ]
    if known is not None:
        log.entries += newest[0].id - known
    else:
        log.entries += len(read) if same_run else newest[0].id + 1
    log.amount += sum(entry.amount for entry in read)
    return _News(log, tuple(read))


def _entries(reply: object) -> list[_Entry]:
    """Newest first. What is no entry is left out."""
    found = []
    for entry in reply if isinstance(reply, list) else ():
        match entry:
            case [int(id_), int(_), int(amount), [*words], *_]:
                found.append(_Entry(id_, float(amount), _command(words)))
    return found


def _command(words: Sequence[object]) -> str:
    name = str(words[0]) if words else ""
    return name.upper() if _NAME.fullmatch(name) else "a command"


def _stop_if_off(context: ProbeContext) -> None:
    """Raises Skipped when the log is known to be off; without the right to look, an empty one counts as on."""
    threshold = number(_setting(context, _THRESHOLD), _THRESHOLD)
    if threshold is not None and threshold < 0:
        text = f"the slow log is off ({_THRESHOLD} {threshold:.0f})"
        raise Skipped(Reason.SETTING, text, remedy=f"CONFIG SET {_THRESHOLD} 10000")


def _setting(context: ProbeContext, name: str) -> Fields:
    try:
        return fields_of(context.ask(SETTINGS, name))
    except Skipped:
        return {}
