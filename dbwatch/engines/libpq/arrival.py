"""Owns noticing what comes from the server: an answer that is under way, and the end of a session that lies idle.

psycopg hands over a result when all of it is there. A query that the server still works on and rows that trickle in
look the same from outside, and they are mended in different places.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.waiting import Ready

T = TypeVar("T")
_MOST_PIECES = 16
_PIECES_OF_AN_ERROR = 2


class WatchedConnection(psycopg.Connection[tuple[object, ...]]):
    """A connection that tells, inside `arriving`, that an answer comes in pieces."""

    on_arrival: Callable[[], None] | None = None
    arrivals = 0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        return super().wait(self._noticing(gen), interval, timeout)

    def _noticing(self, gen: PQGen[T]) -> PQGen[T]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready & Ready.R and self.on_arrival is not None:
                    self.arrivals += 1
                    if self.arrivals > _PIECES_OF_AN_ERROR:
                        self.on_arrival()
                wanted = gen.send(ready)
        except StopIteration as stop:
            result: T = stop.value
            return result


@contextmanager
def arriving(connection: psycopg.Connection[tuple[object, ...]], on_arrival: Callable[[], None]) -> Iterator[None]:
    """Call `on_arrival` when the answer is under way: from its third piece on.

    One or two may be all there is: an error and "ready" after it, or the end of the connection.
    """
    if not isinstance(connection, WatchedConnection):
        yield
        return
    connection.on_arrival, connection.arrivals = on_arrival, 0
    try:
        yield
    finally:
        connection.on_arrival = None


def ended_quietly(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    """Whether the server has ended an idle session: terminated, timed out, restarted. Waits for nothing.

    What else it may have said (a setting has changed) is taken note of.
    """
    pgconn = connection.pgconn
    if pgconn.transaction_status != pq.TransactionStatus.IDLE:
        return connection.closed
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    try:
        for _ in range(_MOST_PIECES):
            if not poll.poll(0):
                return False
            pgconn.consume_input()
    except (psycopg.Error, OSError):
        return True
    return True
