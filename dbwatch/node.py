"""Owns telling one server from another behind the same address. Pure."""

from __future__ import annotations

from typing import Final

from dbwatch.model import Facts

CLOCKS_APART_SECONDS: Final = 60.0


def leads_elsewhere(before: Facts | None, now: Facts, *, seen_at_seconds: float) -> bool:
    """Whether the address leads to another cluster, or to a server that ran already before the earlier one was left.

    Counters of two nodes have no difference. Those of one that was restarted go on, or began at zero.
    `seen_at_seconds` is when the earlier one answered last, since 1970.
    """
    if before is None:
        return False
    if (before.system_identifier, before.major) != (now.system_identifier, now.major):
        return True
    if before.started_at_seconds is None or now.started_at_seconds is None:
        return False
    moved = abs(now.started_at_seconds - before.started_at_seconds) > CLOCKS_APART_SECONDS
    return moved and now.started_at_seconds < seen_at_seconds - CLOCKS_APART_SECONDS
