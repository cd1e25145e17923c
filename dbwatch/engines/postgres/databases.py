"""Owns a look at each watched database in turn: the spare connection, and what the answers come to. Asks nothing."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg

from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Measurement
from dbwatch.engines.libpq.connect import open_connection
from dbwatch.errors import CheckError, ConnectionLost, Skipped, TargetError
from dbwatch.model import Facts, RawRow, Reason

_HIDDEN = frozenset({Reason.PRIVILEGE, Reason.LOCK, Reason.STATISTICS})
"""Reasons that keep us from what is there; the others say that the question does not arise."""


class Databases:
    """The databases of one server, each over the spare connection in turn. Used by one thread; `spare` by any."""

    def __init__(self, target: Target, on_step: Callable[[str], None]) -> None:
        self._target = target
        self._on_step = on_step
        self.spare: psycopg.Connection[tuple[object, ...]] | None = None

    def watched(self, facts: Facts) -> tuple[str, ...]:
        """Their names in order, that of the held connection among them."""
        names = {*facts.databases, facts.database}
        return tuple(sorted(name for name in names if self._target.watches_database(name)))

    @contextmanager
    def visiting(self) -> Iterator[None]:
        """Between checks one connection is held: the databases are asked in order, so the last is rarely the next."""
        try:
            yield
        finally:
            self.close_spare()

    def connection_to(self, name: str, deadline: Deadline) -> psycopg.Connection[tuple[object, ...]]:
        """The spare connection, to this database. Raises CheckError."""
        spare = self.spare
        if spare is not None and not spare.closed and not spare.broken and spare.info.dbname == name:
            return spare
        self.close_spare()
        self._on_step("connect")
        try:
            self.spare = open_connection(self._target, deadline, database=name)
        except TargetError as error:
            raise CheckError(error.reason, f"database {name}: {error}", step=error.phase) from None
        return self.spare

    def close_spare(self) -> None:
        """Close it if there is one."""
        if self.spare is not None:
            self.spare.close()
            self.spare = None


def in_turn(
    names: Sequence[str],
    look: Callable[[str], Measurement],
    deadline: Deadline,
    *,
    is_lost: Callable[[], bool],
    limit: int,
    more: bool,
) -> Measurement:
    """All answers as one; a database that cannot be looked at does not hide the others.

    `is_lost` says whether the held connection is, `more` whether the server has databases beyond these. Raises
    CheckError.
    """
    parts: list[Measurement] = []
    failed: dict[str, CheckError] = {}
    skipped: dict[str, CheckError] = {}
    for name in names:
        if deadline.passed:
            failed[name] = CheckError(Reason.TIMEOUT, "the time limit passed before its turn", step="connect")
            continue
        try:
            parts.append(look(name))
        except Skipped as error:
            skipped[name] = error
        except ConnectionLost as error:
            if is_lost() or deadline.passed:
                raise
            failed[name] = error
        except CheckError as error:
            failed[name] = error
    if not names:
        raise Skipped(Reason.NO_DATABASE, "no database is left to look at, by the names to include and exclude")
    rows = _fairly([part.rows for part in parts], limit)
    hidden = {name: error for name, error in skipped.items() if error.reason in _HIDDEN}
    if skipped and not failed and not rows and (hidden or len(skipped) == len(names)):
        # Nothing found where we could look says nothing about a database where we could not.
        raise next(iter((hidden or skipped).values()))
    truncated = more or any(part.truncated for part in parts) or len(rows) < sum(len(part.rows) for part in parts)
    seconds = sum(part.database_seconds for part in parts)
    return Measurement(rows, seconds, time.monotonic(), truncated, failed, hidden)


def _fairly(parts: Sequence[Sequence[RawRow]], limit: int) -> tuple[RawRow, ...]:
    """At most `limit` rows; when they are more, the first (the worst) of every database before the second of any."""
    if sum(map(len, parts)) <= limit:
        return tuple(itertools.chain.from_iterable(parts))
    by_turns = itertools.chain.from_iterable(itertools.zip_longest(*parts))
    return tuple(itertools.islice((row for row in by_turns if row is not None), limit))
