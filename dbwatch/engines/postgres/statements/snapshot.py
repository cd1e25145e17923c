"""Owns what one reading of pg_stat_statements says: entries and the circumstances they were read in. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from dbwatch.engines.postgres.statements.counters import ZERO, Counters


class Identity(NamedTuple):
    """A statement as we name it: whose it is, where, and the extension's number for its shape."""

    userid: int
    dbid: int
    queryid: int


class Key(NamedTuple):
    """An entry of the extension. `toplevel` is None where it does not tell (before 1.9)."""

    identity: Identity
    toplevel: bool | None


class Entry(NamedTuple):
    """`since` is when the entry began, in seconds; None where the extension does not tell (before 1.11).

    The times are those of blocks of tables and indexes; a part of `counters.io_seconds`, which has all kinds of blocks.
    """

    counters: Counters
    since: float | None = None
    block_read_seconds: float = 0.0
    block_write_seconds: float = 0.0

    def plus(self, other: Entry) -> Entry:
        """Both together, since the earlier of the two."""
        since = None if self.since is None or other.since is None else min(self.since, other.since)
        return Entry(
            self.counters.plus(other.counters),
            since,
            self.block_read_seconds + other.block_read_seconds,
            self.block_write_seconds + other.block_write_seconds,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading. `read_at` is our monotonic clock, everything else the server's.

    `sources` says from which of the extension's columns a counter was read; one that is missing was not read at all.
    `complete` is False when the server had more entries than we read.
    """

    entries: Mapping[Key, Entry]
    read_at: float
    server_seconds: float = 0.0
    started_at: float | None = None
    reset_at: float | None = None
    deallocations: float | None = None
    active_seconds: float | None = None
    transactions: Mapping[int, float] = field(default_factory=dict)
    complete: bool = True
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def tells_toplevel(self) -> bool:
        return any(key.toplevel is not None for key in self.entries)

    def without_toplevel(self) -> Snapshot:
        """The same reading as an extension before 1.9 would have given it. Two began with the older."""
        merged: dict[Key, Entry] = {}
        for key, entry in self.entries.items():
            plain = Key(key.identity, None)
            known = merged.get(plain)
            merged[plain] = entry if known is None else known.plus(entry)
        return replace(self, entries=merged)

    def by_identity(self) -> dict[Identity, Counters]:
        """The counters of each statement, run inside of functions or not."""
        found: dict[Identity, Counters] = {}
        for key, entry in self.entries.items():
            found[key.identity] = found.get(key.identity, ZERO).plus(entry.counters)
        return found
