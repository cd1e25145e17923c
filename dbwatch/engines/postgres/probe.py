"""Owns what a Python probe gets to see: guarded queries, facts, its check and target, memory. Knows no connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.engines.hosts import Hosts, HostTold
from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.cluster import Cluster
from dbwatch.model import Facts, RawRow


class Fetch(Protocol):
    """Run one query in the guarded transaction; at most `limit` rows come back."""

    def __call__(self, sql: str, *, limit: int) -> Sequence[RawRow]: ...


class Attempt(Protocol):
    """As `Fetch`, for at most `seconds`; what the server refuses comes back, and the transaction goes on."""

    def __call__(self, sql: str, *, limit: int, seconds: float) -> Sequence[RawRow] | Refused: ...


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """`facts` are those of the database the probe runs in; `remaining()` are the seconds left of the run.

    `memory` is the target's own, `cluster` what the watched nodes of its cluster share (None when the server does not
    tell which cluster it belongs to).
    """

    fetch: Fetch
    attempt: Attempt
    remaining: Callable[[], float]
    facts: Facts
    check: Check
    target: Target
    memory: Memory
    cluster: Cluster | None
    hosts: Hosts = field(default_factory=Hosts)

    def machine(self) -> HostTold | None:
        """What the watched machine of this target tells of itself; None when there is none."""
        return self.hosts.of(self.target.name)


Probe: TypeAlias = Callable[[ProbeContext], Sequence[RawRow]]
