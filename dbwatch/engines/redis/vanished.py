"""Owns noticing that a database has lost its keys though neither expiry nor eviction took them. Judges no restart."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.growth import Growth
from dbwatch.engines.redis.identity import role_of
from dbwatch.engines.redis.keyspace import MOST_DATABASES, Database, databases
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.model import RawRow, Role

_FEW = 1000
_LEFT_SHARE = 0.1
_RECOVERED_SHARE = 0.5
_TOLD_SECONDS = 3600.0
_EXPECTED = ("expired_keys", "evicted_keys")
_FLUSHES = ("cmdstat_flushall.calls", "cmdstat_flushdb.calls")


@dataclass(frozen=True, slots=True)
class _Loss:
    """A database that was full and is not; `at` is our monotonic clock."""

    keys_before: float
    at: float
    cause: str


class _Removals(Growth):
    """Keys that expired or were evicted, and flushes, at the previous look."""


@dataclass(slots=True)
class _Keyspace:
    """What the databases held at the previous look, and which have lost it since. Bounded by MOST_DATABASES."""

    held: dict[str, float] = field(default_factory=dict)
    losses: dict[str, _Loss] = field(default_factory=dict)
    run_id: str | None = None


def vanished(context: ProbeContext) -> Rows:
    """A row for each database, also for one that held keys at an earlier look and is empty now.

    On a replica nothing is judged: its primary tells it what to delete, and it counts nothing of that as expired.
    """
    info, kept = context.info, context.memory.of(_Keyspace)
    grown = context.memory.of(_Removals).since({name: number(info, name) or 0.0 for name in (*_EXPECTED, *_FLUSHES)})
    if info.get("run_id") != kept.run_id:
        kept.held, kept.losses, kept.run_id = {}, {}, info.get("run_id")
    found = {database.name: database for database in databases(info)}
    names = sorted({*found, *kept.held}, key=lambda name: (-kept.held.get(name, 0.0), name))[:MOST_DATABASES]
    judged = role_of(info) is Role.PRIMARY
    rows = []
    for name in names:
        database = found.get(name, Database(name))
        if judged and grown is not None and _lost(kept.held.get(name, 0.0), database.keys, grown):
            kept.losses[name] = _Loss(kept.held[name], time.monotonic(), _cause(grown))
        rows.append(_row(database, _standing(kept, database) if judged else None, info, judged=judged))
    kept.held = {name: found[name].keys if name in found else 0.0 for name in names}
    return tuple(rows)


def _lost(before: float, now: float, grown: Mapping[str, float]) -> bool:
    """True when nine of ten keys are gone, and expiry and eviction do not account for half of that."""
    expected = sum(grown[name] for name in _EXPECTED)
    return before >= _FEW and now < _LEFT_SHARE * before and expected < (before - now) / 2


def _cause(grown: Mapping[str, float]) -> str:
    if any(grown[name] for name in _FLUSHES):
        return "FLUSHALL or FLUSHDB was run"
    return "they were deleted or moved, or copied over from another primary"


def _standing(kept: _Keyspace, database: Database) -> _Loss | None:
    """The loss of this database, as long as it is news and not made good."""
    loss = kept.losses.get(database.name)
    if loss is None:
        return None
    if time.monotonic() - loss.at > _TOLD_SECONDS or database.keys >= _RECOVERED_SHARE * loss.keys_before:
        del kept.losses[database.name]
        return None
    return loss


def _row(database: Database, loss: _Loss | None, info: Fields, *, judged: bool) -> RawRow:
    return {
        "database": database.name,
        "keys": database.keys,
        "expiring_keys": database.expires,
        "mean_ttl_seconds": database.mean_ttl_seconds,
        "vanished": float(loss is not None) if judged else None,
        "cached": float(info.get("maxmemory_policy", "").startswith("allkeys-")),
        "keys_before": loss.keys_before if loss is not None else None,
        "vanished_seconds": time.monotonic() - loss.at if loss is not None else None,
        "cause": loss.cause if loss is not None else None,
    }
