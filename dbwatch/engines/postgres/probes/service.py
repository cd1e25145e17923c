"""Owns since when a table has waited for autovacuum, look after look. Knows no query and no check.

The server tells how much work has piled up, not since when. What is claimed here is a lower bound, but for one case:
at the very first look at a database, a table far past its trigger is taken to have waited since autovacuum was last
there, because a one-shot run has nothing else to go by. All times are of the server's clock, in Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """A table past its trigger. `writes` are all changes ever counted: none leaves more than one row to work on.

    `known_since` is a proof of the server's own that it was past its trigger then, `left` one that the last service
    left that much; `presumed_since` is for the first look only.
    """

    amount: float
    trigger: float
    served_at: float | None
    writes: float
    known_since: float | None = None
    presumed_since: float | None = None
    left: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Since when a table waits; `left` when it was served and as much work was left as triggers the next time."""

    since: float
    served_at: float | None
    writes: float
    left: bool = False


class Waits:
    """The waits of one check by database: the tables of its last look, of the databases looked at of late."""

    def __init__(self) -> None:
        self._looks: dict[str, tuple[float, Mapping[int, Wait]]] = {}

    def look(self, database: str, now: float, needs: Mapping[int, Need], patience_seconds: float) -> Mapping[int, Wait]:
        """The wait of every table in need, by oid. A look longer ago than `patience_seconds` proves nothing."""
        # What proves nothing any more is forgotten: databases come and go under ever new names.
        self._looks = {name: seen for name, seen in self._looks.items() if 0 <= now - seen[0] <= patience_seconds}
        looked_at, before = self._looks.get(database, (None, {}))
        waits = {oid: _wait(need, before.get(oid), now, first_look=looked_at is None) for oid, need in needs.items()}
        self._looks[database] = (now, waits)
        return waits


def _wait(need: Need, before: Wait | None, now: float, *, first_look: bool) -> Wait:
    since, left = now, False
    if before is not None:
        since, left = before.since, before.left
        if need.served_at != before.served_at:
            fresh = need.writes - before.writes
            left = fresh >= 0 and need.amount - fresh > need.trigger
            since = since if left else need.served_at or now
    elif first_look and need.presumed_since is not None:
        since = need.presumed_since
    if need.known_since is not None:
        since = min(since, need.known_since)
    return Wait(min(since, now), need.served_at, need.writes, left or need.left)
