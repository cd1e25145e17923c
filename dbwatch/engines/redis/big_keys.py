"""Owns the search for big keys: a bounded walk with SCAN and MEMORY USAGE, which move no statistics of the server.

TYPE, TTL, STRLEN and the like would count as hits and misses, so the type of a key is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from dbwatch.engines.redis.commands import fields_of
from dbwatch.engines.redis.identity import role_of
from dbwatch.engines.redis.keyspace import databases
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.errors import CheckError, ConnectionLost, Skipped
from dbwatch.model import Reason, Role
from dbwatch.units import bytes_text, count_text

_BIG_BYTES: Final = 10 * 2**20
_PAGE: Final = "100"
_MOST_KEYS: Final = {Role.PRIMARY: 20_000, Role.STANDBY: 100_000}
"""A primary that has replicas is spared; one without is asked for as many as a replica."""
_SPARE_SECONDS: Final = 2.0
_MOST_TOLD: Final = 5
_NAME_LENGTH: Final = 60
_RULES: Final = "+info +ping +select +client|info +scan +memory|usage ~*"


@dataclass(slots=True)
class _Place:
    """Where the walk through a database stopped, so that the next run sees other keys."""

    cursors: dict[str, str] = field(default_factory=dict)
    run_id: str | None = None


@dataclass(slots=True)
class _Found:
    """What a walk has seen so far; of the keys only the largest are remembered."""

    keys: int = 0
    unmeasured: int = 0
    total_bytes: float = 0.0
    big: int = 0
    largest: list[tuple[float, str]] = field(default_factory=list)

    def note(self, name: str, size: float) -> None:
        self.keys += 1
        self.total_bytes += size
        self.big += size >= _BIG_BYTES
        self.largest = sorted([*self.largest, (size, name)], reverse=True)[:_MOST_TOLD]


def big_keys(context: ProbeContext) -> Rows:
    """One row for the database of the target's URL: SCAN sees no other."""
    try:
        return _looked(context)
    except Skipped as error:
        if error.reason is not Reason.PRIVILEGE:
            raise
        # MEMORY USAGE is refused for want of the key as well as of the command, and the answer does not tell which.
        remedy = f"ACL SETUSER {context.facts.user} {_RULES}"
        message = "looking for big keys needs SCAN, MEMORY USAGE and every key (it reads the size, never the content)"
        raise Skipped(error.reason, message, step=error.step, remedy=remedy) from error


def _looked(context: ProbeContext) -> Rows:
    info = context.info
    name = f"db{context.facts.database}"
    held = next((database.keys for database in databases(info) if database.name == name), 0.0)
    role = role_of(info)
    if role is Role.STANDBY and info.get("cluster_enabled") == "1":
        raise Skipped(Reason.ROLE, "a replica of a cluster sends everybody who asks for a key to its primary")
    _stand_in(context)
    spared = role is Role.PRIMARY and info.get("connected_slaves", "0") != "0"
    found = _walk(context, name, _MOST_KEYS[Role.PRIMARY if spared else Role.STANDBY]) if held else _Found()
    largest = found.largest[0][0] if found.largest else None
    named = [one for one in found.largest if one[0] >= _BIG_BYTES] or found.largest
    return (
        {
            "database": name,
            "largest_bytes": largest,
            "big_keys": float(found.big),
            "sampled_keys": float(found.keys),
            "sampled_ratio": min(1.0, found.keys / held) if held else None,
            "mean_bytes": found.total_bytes / found.keys if found.keys else None,
            "largest_keys": "; ".join(f"{_cut(key)} {bytes_text(size)}" for size, key in named) or None,
            "scope": _scope(found, held, spared=spared),
        },
    )


def _stand_in(context: ProbeContext) -> None:
    """Raises Skipped when the connection is not in the target's database: a refused SELECT was no error until now."""
    wanted = context.facts.database
    if wanted != "0" and fields_of(context.ask("CLIENT INFO")).get("db") != wanted:
        raise Skipped(Reason.PRIVILEGE, f"SELECT {wanted} was refused", step="SELECT")


def _walk(context: ProbeContext, database: str, most: int) -> _Found:
    place = context.memory.of(_Place)
    if place.run_id != context.info.get("run_id"):
        place.cursors, place.run_id = {}, context.info.get("run_id")
    found, cursor, ended = _Found(), place.cursors.get(database, "0"), False
    while not ended and found.keys + found.unmeasured < most and context.remaining() > _SPARE_SECONDS:
        cursor, names = _page(context.ask("SCAN", cursor, "COUNT", _PAGE))
        ended = cursor == "0"
        for name in names:
            if context.remaining() <= _SPARE_SECONDS:
                break
            size = _size(context, name)
            if size is None:
                found.unmeasured += 1
            else:
                found.note(name, size)
    place.cursors[database] = cursor
    return found


def _size(context: ProbeContext, name: str) -> float | None:
    """None for a key that is gone, cannot be named as text, or moves to another node of the cluster."""
    try:
        size = context.ask("MEMORY USAGE", name)
    except (Skipped, ConnectionLost):
        raise
    except CheckError as error:
        if error.reason is not Reason.ERROR:
            raise
        return None
    return float(size) if isinstance(size, int) else None


def _page(reply: object) -> tuple[str, Sequence[str]]:
    if isinstance(reply, Sequence) and len(reply) == 2 and isinstance(reply[1], Sequence):
        return str(reply[0]), [str(name) for name in reply[1]]
    raise CheckError(Reason.BAD_RESULT, "SCAN did not answer with a cursor and keys", step="SCAN")


def _cut(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else f"{name[:_NAME_LENGTH]}…"


def _scope(found: _Found, held: float, *, spared: bool) -> str:
    parts = [f"{count_text(found.keys)} of {count_text(held)} keys were measured"]
    if found.unmeasured:
        parts.append(
            f"{count_text(found.unmeasured)} could not be, as they were gone, moved, or their names are no text"
        )
    if spared:
        parts.append("this is a primary: a replica can be asked for more, and nobody waits for it")
    return "; ".join(parts)
