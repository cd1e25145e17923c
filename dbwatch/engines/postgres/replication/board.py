"""Owns what watched nodes tell each other about replication. Knows no query and judges nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbwatch.engines.postgres.cluster import Cluster, LsnClock

PRIMARY_SECONDS = 60.0
STANDBY_SECONDS = 900.0
"""How long a word is good for: four runs of the check that tells it, and a standby's settings rarely change."""


@dataclass(frozen=True, slots=True)
class PrimaryTold:
    """A node that takes writes. `clock_ahead_seconds` is its wall clock less our monotonic clock."""

    timeline: int
    clock_ahead_seconds: float


@dataclass(frozen=True, slots=True)
class StandbyTold:
    """A standby. One that is cut off was last sure to have all there was at `cut_off_since` (monotonic)."""

    application_name: str
    addresses: frozenset[tuple[str, int]]
    receiver_up: bool
    delay_seconds: float
    cut_off: bool
    cut_off_since: float | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of the primary a standby follows. `told` is None until that has told of itself."""

    clock: LsnClock
    told: PrimaryTold | None


def primary_of(cluster: Cluster | None, timeline: int | None) -> Watched | None:
    """The watched primary, where it is sure to be the one that writes this timeline.

    Clones and a split brain share a system identifier; after a failover the clock may still be the old primary's.
    """
    if cluster is None:
        return None
    told = [one.value for one in cluster.told(PrimaryTold, within_seconds=PRIMARY_SECONDS).values()]
    if len(told) > 1 or any(timeline is not None and primary.timeline != timeline for primary in told):
        return None
    return Watched(cluster.clock, told[0] if told else None)


def upstream_of(cluster: Cluster, me: str, sender: tuple[str, int] | None) -> StandbyTold | None:
    """The watched standby that listens where this one gets its log from."""
    if sender is None:
        return None
    told = cluster.told(StandbyTold, within_seconds=PRIMARY_SECONDS)
    return next((one.value for name, one in told.items() if name != me and sender in one.value.addresses), None)


def known_delay(standbys: Iterable[StandbyTold], application_name: str, senders: int) -> float | None:
    """The apply delay of all replicas of this name; None when not all of them are watched."""
    delays = [one.delay_seconds for one in standbys if one.application_name == application_name]
    return min(delays) if delays and len(delays) >= senders else None
