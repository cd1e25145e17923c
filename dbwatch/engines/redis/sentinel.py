"""Owns reading what a Sentinel knows of the primaries it watches, and whether the Sentinels can act. Judges nothing.

INFO tells the state of each primary to every user; whether there is a quorum, what happened, and which replicas could
take over are commands of their own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from dbwatch.engines.redis.commands import Fields, fields_of
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.errors import CheckError, ConnectionLost, Skipped
from dbwatch.model import RawRow, Reason

CKQUORUM, MASTERS, REPLICAS = "SENTINEL CKQUORUM", "SENTINEL MASTERS", "SENTINEL REPLICAS"

_WATCHED = re.compile(r"name=(.*),status=(\w+),address=(.*),slaves=(\d+),sentinels=(\d+)")
_USABLE = re.compile(r"\b(\d+) usable")
_LOST = {
    "quorum": "fewer of them answer than the quorum that has to agree that the primary is down",
    "majority": "those that answer are no majority, so none of them may lead a failover",
}
_UNUSABLE = frozenset({"s_down", "o_down", "disconnected"})


@dataclass(frozen=True, slots=True)
class _Watched:
    """A primary by its line in INFO. `sentinels` counts the one we ask."""

    name: str
    status: str
    address: str
    replicas: float
    sentinels: float


def primaries(context: ProbeContext) -> Rows:
    """A row a primary: whether this Sentinel, or enough of them, take it for down."""
    return tuple(_state(watched) for watched in _watched(context))


def _state(watched: _Watched) -> RawRow:
    told = {
        "odown": "is down, and enough Sentinels agree to fail over",
        "sdown": "does not answer this Sentinel; too few others agree, so there is no failover",
    }
    return {
        "primary_name": watched.name,
        "down": float(watched.status != "ok"),
        "agreed_down": float(watched.status == "odown"),
        "address": watched.address,
        "told": told.get(watched.status, "answers"),
    }


def quorum(context: ProbeContext) -> Rows:
    """A row a primary: how many Sentinels there are for it and could act, and whether that is enough."""
    return tuple(row for watched in _watched(context) if (row := _quorum(context, watched)) is not None)


def _quorum(context: ProbeContext, watched: _Watched) -> RawRow | None:
    """None when the Sentinel does not watch that primary any more."""
    try:
        text, reached = str(context.ask(CKQUORUM, watched.name)), 1.0
    except (Skipped, ConnectionLost):
        raise
    except CheckError as error:
        text, reached = str(error), 0.0
        if "No such master" in text:
            return None
        if "usable" not in text:
            raise
    found = _USABLE.search(text)
    usable = float(found[1]) if found is not None else None
    return {
        "primary_name": watched.name,
        "quorum_reached": reached,
        "sentinels": watched.sentinels,
        "sentinels_usable": usable,
        "told": _quorum_text(text, reached, watched.sentinels, usable),
    }


def _quorum_text(text: str, reached: float, known: float, usable: float | None) -> str:
    counted = f"{usable or 0:.0f} of {known:.0f} Sentinels answer"
    if reached:
        return counted
    causes = [words for name, words in _LOST.items() if name in text]
    return f"no failover is possible: {counted}; {', and '.join(causes) or 'the reason is not known'}"


@dataclass(frozen=True, slots=True)
class _Configuration:
    epoch: float | None
    address: str


@dataclass(slots=True)
class _Life:
    """Of one primary: its configuration at the last look, and the last change we noticed."""

    last: _Configuration
    changes: int = 0
    event: str | None = None
    noticed: float | None = None


@dataclass(slots=True)
class _Lives:
    of: dict[str, _Life] = field(default_factory=dict)


def failovers(context: ProbeContext) -> Rows:
    """A row a primary: the epoch of its configuration, and the last change of it if we were there."""
    lives = context.memory.of(_Lives)
    reply = context.ask(MASTERS)
    if not isinstance(reply, list):
        raise CheckError(Reason.BAD_RESULT, f"the reply of {MASTERS} is a {type(reply).__name__}", step="result")
    found = [fields_of(entry) for entry in reply[: context.check.limit + 1]]
    before, lives.of = lives.of, {}
    for fields in found:
        name = fields.get("name", "")
        now = _Configuration(number(fields, "config-epoch"), f"{fields.get('ip')}:{fields.get('port')}")
        life = before.get(name) or _Life(now)
        if life.last != now:
            life.changes += 1
            life.event, life.noticed = _changed(life.last, now), time.monotonic()
        life.last = now
        lives.of[name] = life
    return tuple(_told(name, life) for name, life in lives.of.items())


def _changed(before: _Configuration, now: _Configuration) -> str:
    if before.address != now.address:
        return f"was failed over from {before.address} to {now.address}"
    return f"was configured anew, and is still {now.address}"


def _told(name: str, life: _Life) -> RawRow:
    return {
        "primary_name": name,
        "config_epoch": life.last.epoch,
        "failovers": float(life.changes),
        "noticed_seconds": time.monotonic() - life.noticed if life.noticed is not None else None,
        "address": life.last.address,
        "told": life.event,
    }


def replicas(context: ProbeContext) -> Rows:
    """A row a primary: the replicas the Sentinel knows, and those that could take over if it may ask."""
    return tuple(_replicas(context, watched) for watched in _watched(context))


def _replicas(context: ProbeContext, watched: _Watched) -> RawRow:
    usable = _usable(context, watched)
    told = f"the {watched.replicas:.0f} that Sentinel knows do not answer it or must not be promoted"
    return {
        "primary_name": watched.name,
        "replicas": watched.replicas,
        "replicas_usable": usable,
        "address": watched.address,
        "told": "Sentinel knows none" if watched.replicas == 0 else told if usable == 0 else None,
    }


def _usable(context: ProbeContext, watched: _Watched) -> float | None:
    """How many replicas Sentinel could promote: reachable, and not excluded by replica-priority 0."""
    try:
        reply = context.ask(REPLICAS, watched.name)
    except ConnectionLost:
        raise
    except CheckError:
        return None
    if not isinstance(reply, list):
        return None
    return float(sum(_may_lead(fields_of(entry)) for entry in reply))


def _may_lead(replica: Fields) -> bool:
    flags = set(replica.get("flags", "").split(","))
    return not flags & _UNUSABLE and replica.get("slave-priority") != "0"


def _watched(context: ProbeContext) -> Iterator[_Watched]:
    for position in range(context.check.limit + 1):
        line = context.info.get(f"master{position}")
        if line is None:
            return
        found = _WATCHED.fullmatch(line)
        if found is None:
            raise CheckError(Reason.BAD_RESULT, f"INFO tells master{position} in a way not known", step="result")
        yield _Watched(found[1], found[2], found[3], float(found[4]), float(found[5]))
