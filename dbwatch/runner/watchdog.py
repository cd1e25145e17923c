"""Owns ending runs that outlive their deadline: cancel at T, shut the socket at T + grace. Knows no driver.

One thread for all lanes. A frozen server answers neither a query nor a cancel request; only the socket that is shut
under the blocked call ends it (measured: `reference/reliability.md` §2).
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

from dbwatch.deadline import Deadline

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

GRACE_SECONDS = 1.0


class Interruptible(Protocol):
    def cancel(self) -> None: ...

    def abort(self) -> None: ...


class _Guarded:
    """One run under watch. `struck` says that its deadline passed while it was running."""

    __slots__ = ("cancelling", "finished", "struck")

    def __init__(self) -> None:
        self.cancelling: threading.Thread | None = None
        self.finished = False
        self.struck = False


class Watchdog:
    """Watches any number of runs. `close()` ends its thread; runs under watch then lose their guard."""

    def __init__(self, grace_seconds: float = GRACE_SECONDS) -> None:
        self._grace = grace_seconds
        self._condition = threading.Condition()
        self._queue: list[tuple[float, int, _Guarded, Callable[[], None]]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None
        self._closed = False

    @contextmanager
    def guarding(self, session: Interruptible, deadline: Deadline) -> Iterator[_Guarded]:
        """Watch the body of the `with`: past the deadline the session is cancelled, then aborted."""
        guarded = _Guarded()

        def cancel() -> None:
            guarded.struck = True
            thread = threading.Thread(target=session.cancel, name="dbwatch-cancel", daemon=True)
            thread.start()
            guarded.cancelling = thread

        with self._condition:
            self._start()
            self._push(deadline.at, guarded, cancel)
            self._push(deadline.at + self._grace, guarded, session.abort)
            self._condition.notify()
        try:
            yield guarded
        finally:
            with self._condition:
                guarded.finished = True
                self._queue = [item for item in self._queue if item[2] is not guarded]
                heapq.heapify(self._queue)
            if guarded.cancelling is not None:
                # A cancel request still on its way would end the next run's query.
                guarded.cancelling.join(self._grace)

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="dbwatch-watchdog", daemon=True)
            self._thread.start()

    def _push(self, at: float, guarded: _Guarded, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (at, next(self._order), guarded, action))

    def _watch(self) -> None:
        with self._condition:
            while not self._closed:
                now = time.monotonic()
                while self._queue and self._queue[0][0] <= now:
                    _, _, guarded, action = heapq.heappop(self._queue)
                    if not guarded.finished:
                        try:
                            action()
                        except Exception:
                            # Without this thread no lane has a deadline any more.
                            log.exception("run past its deadline not ended")
                self._condition.wait(self._queue[0][0] - now if self._queue else None)
