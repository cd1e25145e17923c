"""Owns reading the latency monitor's events and the percentiles of commands. Judges nothing."""

from __future__ import annotations

import re
import time

from dbwatch.engines.redis.commands import Fields, fields_of
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

LATEST, SETTINGS = "LATENCY LATEST", "CONFIG GET"

_THRESHOLD = "latency-monitor-threshold"
_TURN_ON = f"CONFIG SET {_THRESHOLD} 100"
_PREFIX = "latency_percentiles_usec_"
_P99 = re.compile(r"(?:^|,)p99=([0-9.]+)")


def events(context: ProbeContext) -> Rows:
    """A row a kind of event: how long the last one took and when that was. Raises Skipped while nobody records any."""
    reply = context.ask(LATEST)
    now = number(context.info, "server_time_usec")
    now_seconds = now / 1e6 if now is not None else time.time()
    rows = []
    for entry in reply if isinstance(reply, list) else ():
        match entry:
            case [str(event), int(at), int(latest_ms), int(worst_ms), *_]:
                row: RawRow = {
                    "event": event,
                    "event_seconds": latest_ms / 1e3,
                    "worst_seconds": worst_ms / 1e3,
                    "age_seconds": max(0.0, now_seconds - at),
                }
                rows.append(row)
    if not rows:
        _stop_if_off(context)
    return tuple(rows)


def _stop_if_off(context: ProbeContext) -> None:
    try:
        threshold = number(fields_of(context.ask(SETTINGS, _THRESHOLD)), _THRESHOLD)
    except Skipped:
        threshold = None
    if threshold == 0:
        raise Skipped(Reason.SETTING, f"the latency monitor is off ({_THRESHOLD} 0)", remedy=_TURN_ON)
    if threshold is None:
        text = f"no event is recorded: the latency monitor is off (its default), or nothing took {_THRESHOLD} yet"
        raise Skipped(Reason.SETTING, text, remedy=_TURN_ON)


def percentiles(info: Fields) -> Rows:
    """A row a command: its 99th percentile since the server started or CONFIG RESETSTAT, the slowest first."""
    rows = [_percentile(info, name) for name in info if name.startswith(_PREFIX)]
    found = [row for row in rows if row is not None]
    if not found:
        raise Skipped(Reason.PLATFORM, "this server counts no percentiles (before version 7.0, or latency-tracking no)")
    return tuple(sorted(found, key=_p99, reverse=True))


def _percentile(info: Fields, name: str) -> RawRow | None:
    """None where the configured percentiles (latency-tracking-info-percentiles) have no 99."""
    match = _P99.search(info[name])
    command = name.removeprefix(_PREFIX)
    if match is None:
        return None
    return {"command": command, "p99_seconds": float(match[1]) / 1e6, "calls": number(info, f"cmdstat_{command}.calls")}


def _p99(row: RawRow) -> float:
    value = row["p99_seconds"]
    return value if isinstance(value, float) else 0.0
