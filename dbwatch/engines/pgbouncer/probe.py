"""Owns what a Python probe gets to see: SHOW, facts, its check and target, memory. Knows no connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.engines.memory import Memory
from dbwatch.engines.pgbouncer.console import Shown
from dbwatch.engines.pgbouncer.process import Process
from dbwatch.model import Facts, RawRow

Rows: TypeAlias = tuple[RawRow, ...]


class Show(Protocol):
    """Send one SHOW of `catalogue.shows`. Raises Skipped where this PgBouncer or this user does not have it."""

    def __call__(self, command: str) -> Shown: ...


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """`memory` is the target's own. `process()` is the PgBouncer itself, when it runs on our machine and can be told.

    It raises Skipped otherwise.
    """

    show: Show
    process: Callable[[], Process]
    facts: Facts
    check: Check
    target: Target
    memory: Memory


Probe: TypeAlias = Callable[[ProbeContext], Rows]
