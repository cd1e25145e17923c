"""Owns what a Python probe gets to see: guarded queries, facts, its check and target. Knows no connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.model import Facts, RawRow


class Fetch(Protocol):
    """Run one query in the guarded transaction; at most `limit` rows come back."""

    def __call__(self, sql: str, *, limit: int) -> Sequence[RawRow]: ...


@dataclass(frozen=True, slots=True)
class ProbeContext:
    """`facts` are those of the database the probe runs in."""

    fetch: Fetch
    facts: Facts
    check: Check
    target: Target


Probe: TypeAlias = Callable[[ProbeContext], Sequence[RawRow]]
