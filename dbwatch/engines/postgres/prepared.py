"""Owns the statements that one session keeps planned. Knows neither checks nor what a statement asks.

Not psycopg's own: it forgets them at every rollback, and each of our transactions ends with one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg.rows import DictRow

MOST_PREPARED: Final = 150
_MOST_SEEN: Final = 500
_LONGEST_SAID: Final = 38
_UNPRINTED: Final = re.compile("[^a-z0-9_]+")


class Prepared:
    """Of one session; used by its thread. Bounded in names, and so in the server's memory for their plans.

    Nothing is prepared unless `is_own_session`, which every transaction tells anew: behind a pooler the next one may
    meet another session of the server.
    """

    def __init__(self) -> None:
        self.is_own_session = False
        self._seen: set[int] = set()
        self._names: dict[str, str] = {}
        self._refused: set[int] = set()
        self._made = 0

    def opening(self, query: str, values: Sequence[str]) -> str | None:
        """A text that runs a query with these literals for `$1` and so on, and keeps it planned. None to leave it.

        Whoever runs it calls `refuse` when that fails.
        """
        if not self.is_own_session or not self._may_keep(query):
            return None
        known = query in self._names
        call = f"execute {self._name(query, 'begin')}({', '.join(values)})"
        return call if known else f"prepare {self._name(query, 'begin')} as {query}; {call}"

    def execute(
        self, cursor: psycopg.RawCursor[DictRow], query: str, limit: int, *, name: str, at_once: bool = False
    ) -> None:
        """Run a query whose one parameter is its limit, and keep it planned: when it comes again, or `at_once`.

        `name` is for people who look at what the server is running.
        """
        kept = self.is_own_session and (self._may_keep(query) if at_once else self._comes_again(query))
        if not kept:
            # The bind parameter makes psycopg use the extended protocol, which takes one statement only.
            cursor.execute(query.encode(), [limit])
            return
        try:
            if query not in self._names:
                # In binary format psycopg uses the extended protocol as well.
                cursor.execute(f"prepare {self._name(query, name)} as {query}".encode(), binary=True)
            cursor.execute(f"execute {self._name(query, name)} ({limit})".encode())
        except psycopg.Error:
            self.refuse(query)
            raise

    def refuse(self, query: str) -> None:
        """Never prepare it again. It may be the plan that failed: one whose columns became others stays as it was."""
        self._names.pop(query, None)
        self._refused.add(hash(query))

    def _name(self, query: str, called: str) -> str:
        """The same for the same query until that is refused; of what it asks, should two sessions ever be mixed up."""
        name = self._names.get(query)
        if name is None:
            self._made += 1
            digest = hashlib.blake2b(query.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
            said = _UNPRINTED.sub("_", called)[:_LONGEST_SAID]
            name = self._names[query] = f"dbwatch_{said}_{self._made}_{digest}"
        return name

    def _may_keep(self, query: str) -> bool:
        return query in self._names or (hash(query) not in self._refused and len(self._names) < MOST_PREPARED)

    def _comes_again(self, query: str) -> bool:
        """From the second run on: some queries hold what was found before, and are never the same again."""
        mark = hash(query)
        if query in self._names or not self._may_keep(query):
            return query in self._names
        if mark in self._seen:
            return True
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen.add(mark)
        return False
