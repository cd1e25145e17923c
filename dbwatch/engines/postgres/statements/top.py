"""Owns which statements have a name among thousands, and the exact remainder of the others. Pure.

The named ones are sticky. What a statement does while it is not named is in the remainder of its database: the named
and the remainder add up to everything, always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dbwatch.engines.postgres.statements.counters import ZERO, Counters
from dbwatch.engines.postgres.statements.ledger import Look
from dbwatch.engines.postgres.statements.snapshot import Identity
from dbwatch.engines.postgres.sticky import Sticky

MOST_DATABASES = 10
REST = 0
"""The oid under which databases beyond the first `MOST_DATABASES` go."""


def ordered(changes: Mapping[Identity, Counters], by: Callable[[Counters], float]) -> list[Identity]:
    """Those with a number above zero, the highest first; the same for the same numbers."""
    marked = [(-number, identity) for identity, change in changes.items() if (number := by(change)) > 0]
    return [identity for _, identity in sorted(marked)]


def places(*orders: Sequence[Identity]) -> dict[Identity, int]:
    """The best place of each in any of the orders, from 1."""
    best: dict[Identity, int] = {}
    for order in orders:
        for place, identity in enumerate(order, start=1):
            best[identity] = min(place, best.get(identity, place))
    return best


class Series:
    """Counters that only grow, for the named statements and for the remainder of each database."""

    def __init__(self, sticky: Sticky[Identity]) -> None:
        self.sticky = sticky
        self.named: dict[Identity, Counters] = {}
        self.others: dict[int, Counters] = {}

    def take(self, look: Look, place: Mapping[Identity, int]) -> None:
        """Add a window. At the first one it is all that is known."""
        self.sticky.choose(place, look.present)
        named: dict[Identity, Counters] = {}
        taken: dict[int, Counters] = {}
        for identity in self.sticky.members:
            change = look.changes.get(identity, ZERO)
            named[identity] = self.named.get(identity, ZERO).plus(change)
            taken[identity.dbid] = taken.get(identity.dbid, ZERO).plus(change)
        self.named = named
        for dbid, total in look.databases.items():
            slot = dbid if dbid in self.others or len(self.others) < MOST_DATABASES else REST
            rest = total.minus(taken.get(dbid, ZERO))
            self.others[slot] = self.others.get(slot, ZERO).plus(rest)
