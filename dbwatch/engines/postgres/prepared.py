"""Owns the statements that one session keeps planned. Knows neither checks nor what a statement asks.

Not psycopg's own: it forgets them at every rollback, and each of our transactions ends with one.
"""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg.rows import DictRow

MOST_PREPARED: Final = 150
_MOST_SEEN: Final = 500


class Prepared:
    """Of one session; used by its thread. Bounded in names, and so in the server's memory for their plans.

    The session must be one of the server's own: behind a pooler the next transaction may meet another.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._names: dict[str, str] = {}
        self._refused: set[int] = set()
        self._made = 0

    def execute(self, cursor: psycopg.RawCursor[DictRow], query: str, limit: int) -> None:
        """Run a query whose one parameter is its limit, and keep it planned under a name when it comes again."""
        name = self._names.get(query)
        if name is None and not self._worth_keeping(query):
            # The bind parameter makes psycopg use the extended protocol, which takes one statement only.
            cursor.execute(query.encode(), [limit])
            return
        try:
            if name is None:
                self._made += 1
                name = f"dbwatch_{self._made}"
                # In binary format psycopg uses the extended protocol as well.
                cursor.execute(f"prepare {name} as {query}".encode(), binary=True)
                self._names[query] = name
            cursor.execute(f"execute {name} ({limit})".encode())
        except psycopg.Error:
            # It may be the plan: one whose columns became others is never run again.
            self._names.pop(query, None)
            self._refused.add(hash(query))
            raise

    def _worth_keeping(self, query: str) -> bool:
        """From the second run on: some queries hold what was found before, and are never the same again."""
        mark = hash(query)
        if mark in self._refused or len(self._names) >= MOST_PREPARED:
            return False
        if mark in self._seen:
            return True
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen.add(mark)
        return False
