"""Owns the statements that a session keeps planned. Knows neither checks nor what a statement asks.

Not psycopg's own: it forgets them at every rollback, and each of our transactions ends with one.
"""

from __future__ import annotations

import itertools
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import DictRow

MOST_PREPARED: Final = 150
_MOST_SEEN: Final = 500
_numbers: Final = itertools.count(1)


@dataclass(slots=True)
class _Known:
    """Queries of one session: those it ran, those it keeps by name, and those it may not keep."""

    seen: set[int] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)

    def worth_keeping(self, query: str) -> bool:
        """From the second run on: some queries hold what was found before, and are never the same again."""
        mark = hash(query)
        if mark in self.refused or len(self.names) >= MOST_PREPARED:
            return False
        if mark in self.seen:
            return True
        if len(self.seen) >= _MOST_SEEN:
            self.seen.clear()
        self.seen.add(mark)
        return False


_sessions: Final[MutableMapping[psycopg.Connection[tuple[object, ...]], _Known]] = WeakKeyDictionary()


def execute_prepared(cursor: psycopg.RawCursor[DictRow], query: str, limit: int) -> None:
    """Run a query whose one parameter is its limit, and keep it planned under a name when it comes again.

    The session must be one of the server's own: behind a pooler the next transaction may meet another.
    """
    known = _sessions.setdefault(cursor.connection, _Known())
    name = known.names.get(query)
    if name is None and not known.worth_keeping(query):
        cursor.execute(query.encode(), [limit])
        return
    try:
        if name is None:
            name = f"dbwatch_{next(_numbers)}"
            # In binary format psycopg uses the extended protocol, which takes one statement only.
            cursor.execute(f"prepare {name} as {query}".encode(), binary=True)
            known.names[query] = name
        cursor.execute(f"execute {name} ({limit})".encode())
    except psycopg.Error:
        # It may be the plan: one whose columns became others is never run again.
        known.names.pop(query, None)
        known.refused.add(hash(query))
        raise
