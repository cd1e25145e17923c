"""Owns reading the keyspace by database out of INFO. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import number
from dbwatch.engines.redis.probe import Rows
from dbwatch.model import RawRow

MOST_DATABASES = 64


@dataclass(frozen=True, slots=True)
class Database:
    """One line of INFO's keyspace: `db0:keys=9,expires=2,avg_ttl=4711`."""

    name: str
    keys: float = 0.0
    expires: float = 0.0
    mean_ttl_seconds: float | None = None


def databases(info: Fields) -> tuple[Database, ...]:
    """The databases that hold keys, the largest first, as many as are told. Empty ones INFO leaves out."""
    found = sorted(_told(info), key=lambda database: (-database.keys, database.name))
    return tuple(found[:MOST_DATABASES])


def key_counts(info: Fields) -> tuple[float, float]:
    """The keys of all databases, and those of them with a time to live."""
    found = tuple(_told(info))
    return sum(database.keys for database in found), sum(database.expires for database in found)


def _told(info: Fields) -> Iterator[Database]:
    for field in info:
        match = re.fullmatch(r"(db\d+)\.keys", field)
        if match is None:
            continue
        name = match[1]
        expires, ttl_ms = number(info, f"{name}.expires") or 0.0, number(info, f"{name}.avg_ttl")
        ttl = ttl_ms / 1e3 if ttl_ms and expires else None  # 0 until the server has sampled some
        yield Database(name, number(info, field) or 0.0, expires, ttl)


def without_ttl(info: Fields) -> Rows:
    """The keys of each database that never expire."""
    return tuple(
        {"database": db.name, "persistent_keys": db.keys - db.expires, "keys": db.keys} for db in databases(info)
    )


def expiry(info: Fields) -> Rows:
    """How far removing expired keys is behind."""
    stale, spent_ms = number(info, "expired_stale_perc"), number(info, "expire_cycle_cpu_milliseconds")
    row: RawRow = {
        "stale_ratio": None if stale is None else stale / 100,
        "capped_cycles": number(info, "expired_time_cap_reached_count"),
        "cycle_seconds": None if spent_ms is None else spent_ms / 1e3,
        "expiring_keys": key_counts(info)[1],
    }
    return (row,)
