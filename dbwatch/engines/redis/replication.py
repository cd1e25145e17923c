"""Owns reading replication out of INFO, from both ends. Pure.

What the server tells is odd, and was measured: a replica whose primary died says
`master_last_io_seconds_ago:-1`, so that field is never used; `lag` is silence, not age of data; a frozen
replica stays `online` until repl-timeout; a replica that never had a link says it is down since -1 seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import number
from dbwatch.model import RawRow
from dbwatch.units import bytes_text, duration_text

_USUAL_SILENCE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class _Replica:
    address: str
    online: bool
    silence_seconds: float | None
    behind_bytes: float | None


def replication(info: Fields) -> tuple[RawRow, ...]:
    """One row: our link when we are a replica, and the worst of our replicas when we have some.

    Replicas come and go with their addresses, so they are no labels; the worst is named in a detail.
    """
    replicas = tuple(_replicas(info))
    online = [replica for replica in replicas if replica.online]
    worst = max(online, key=_badness, default=None)
    is_replica = info.get("role") == "slave"
    link_up = float(info.get("master_link_status") == "up") if is_replica else None
    row: RawRow = {
        "is_replica": float(is_replica) if "role" in info else None,
        "link_up": link_up,
        "link_down_seconds": _down_seconds(info) if link_up == 0.0 else None,
        "syncing": _syncing(info) if is_replica else None,
        "replicas": number(info, "connected_slaves"),
        "replicas_online": float(len(online)) if "connected_slaves" in info else None,
        "silence_seconds": max((r.silence_seconds for r in online if r.silence_seconds is not None), default=None),
        "behind_bytes": max((r.behind_bytes for r in online if r.behind_bytes is not None), default=None),
        "backlog_bytes": number(info, "repl_backlog_size"),
        "offset_bytes": _offset(info, is_replica),
        "full_syncs": number(info, "sync_full"),
        "worst_replica": worst.address if worst is not None else None,
        "primary": f"{info.get('master_host')}:{info.get('master_port')}" if is_replica else None,
        "problem": _link_problem(info, link_up) or _described(worst),
    }
    return (row,)


def _replicas(info: Fields) -> Iterator[_Replica]:
    written = number(info, "master_repl_offset")
    for position in itertools.count():
        name = f"slave{position}"
        if name not in info:
            return
        offset = number(info, f"{name}.offset")
        behind = max(0.0, written - offset) if written is not None and offset is not None else None
        yield _Replica(
            address=f"{info.get(f'{name}.ip')}:{info.get(f'{name}.port')}",
            online=info.get(f"{name}.state") == "online",  # in its first copy it has no offset yet
            silence_seconds=number(info, f"{name}.lag"),
            behind_bytes=behind,
        )


def _down_seconds(info: Fields) -> float | None:
    """Without any link since it became a replica, the time since the server's start is the best that is known."""
    seconds = number(info, "master_link_down_since_seconds")
    return number(info, "uptime_in_seconds") if seconds is None or seconds < 0 else seconds


def _syncing(info: Fields) -> float | None:
    text = info.get("master_sync_in_progress")
    return None if text is None else float(text == "1")


def _offset(info: Fields, is_replica: bool) -> float | None:
    return number(info, "slave_repl_offset" if is_replica else "master_repl_offset")


def _link_problem(info: Fields, link_up: float | None) -> str | None:
    """What is to be said of our own link to a primary."""
    if link_up != 0.0:
        return None
    primary = f"{info.get('master_host')}:{info.get('master_port')}"
    if info.get("master_sync_in_progress") == "1":
        return f"this replica is still copying all data from its primary {primary}"
    if (number(info, "master_link_down_since_seconds") or 0.0) < 0:
        return f"this replica has not reached its primary {primary} since it was told to follow it"
    return f"this replica has lost its primary {primary}"


def _badness(replica: _Replica) -> tuple[bool, float]:
    """Silence first, once it is more than the second or two between two reports; then bytes."""
    return (replica.silence_seconds or 0.0) > _USUAL_SILENCE_SECONDS, replica.behind_bytes or 0.0


def _described(worst: _Replica | None) -> str | None:
    if worst is None or worst.silence_seconds is None or worst.behind_bytes is None:
        return None
    silence, behind = duration_text(worst.silence_seconds), bytes_text(worst.behind_bytes)
    return f"replica {worst.address} has confirmed nothing for {silence} and is {behind} behind"
