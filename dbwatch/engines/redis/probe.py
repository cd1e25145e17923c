"""Owns what a Python probe gets to see: INFO, commands that only look, facts, memory. Knows no connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.engines.hosts import Hosts
from dbwatch.engines.memory import Memory
from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.peers import Peers
from dbwatch.errors import CheckError
from dbwatch.model import Facts, RawRow


class Ask(Protocol):
    """Send one command of `catalogue.commands`. Raises Skipped where this user or server does not have it."""

    def __call__(self, command: str, *arguments: str) -> object: ...


class Knock(Protocol):
    """Whether a stranger is let in and gets an answer to `command`: None, else why not."""

    def __call__(self, command: str = "PING") -> CheckError | None: ...


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """`info` is INFO of the last second; `memory` is the target's own; `remaining()` are the seconds left of the run.

    `knock()` opens a second connection without any credentials and sends PING or another command: None when it was
    answered, else why not.
    """

    info: Fields
    ask: Ask
    knock: Knock
    remaining: Callable[[], float]
    facts: Facts
    check: Check
    target: Target
    memory: Memory
    peers: Peers = field(default_factory=Peers)
    hosts: Hosts = field(default_factory=Hosts)

    def machine_bytes(self) -> float | None:
        """The memory that the watched machine of this target tells, within its limits; None when there is none."""
        told = self.hosts.of(self.target.name)
        return told.memory_bytes if told is not None else None


Rows: TypeAlias = tuple[RawRow, ...]


@dataclass(frozen=True, slots=True)
class Probe:
    """A way to measure, and the commands beyond INFO that it cannot do without (one refused: skipped, none is sent).

    `optional` are those it sends besides: it sees more with them, or needs them only where INFO does not tell.
    """

    look: Callable[[ProbeContext], Rows]
    commands: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


def of_info(read: Callable[[Fields], Rows]) -> Probe:
    """A probe that is a reading of INFO and nothing else."""
    return Probe(lambda context: read(context.info))
