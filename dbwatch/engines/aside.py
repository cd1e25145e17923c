"""Owns running a call that nothing can interrupt aside, so that a deadline can leave it.

A name lookup and a look at a network disk are such calls. Refuses to know what is called. An abandoned call
keeps its daemon thread until it returns by itself; a second caller with the same key waits for the call
under way, and the number of threads is bounded, so a dead resolver or a hung disk costs a few sleeping
threads and never more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from dbwatch.deadline import Deadline

T = TypeVar("T")
MOST_CALLS = 32


class UnfinishedError(Exception):
    """The call did not return in time; it may still return some day, unseen."""


class CrowdedError(Exception):
    """As many calls as may hang are hanging already."""


@dataclass(slots=True)
class _Call(Generic[T]):
    finished: threading.Event = field(default_factory=threading.Event)
    answer: T | None = None
    error: BaseException | None = None


class Aside:
    """Calls made in daemon threads, at most `most_calls` at a time. Thread-safe."""

    def __init__(self, name: str, most_calls: int = MOST_CALLS) -> None:
        self._name = name
        self._most = most_calls
        self._changed = threading.Condition()
        self._calls: dict[Hashable, _Call[object]] = {}

    def within(self, deadline: Deadline, key: Hashable, function: Callable[[], T]) -> T:
        """What `function` returns or raises. Calls with one key must be the same call.

        Raises UnfinishedError at the deadline, CrowdedError when there was no room to start before it.
        """
        call = self._joined(deadline, key, cast("Callable[[], object]", function))
        if not call.finished.wait(deadline.remaining):
            raise UnfinishedError
        if call.error is not None:
            raise call.error
        return cast("T", call.answer)

    @property
    def outstanding(self) -> int:
        """How many calls are under way."""
        with self._changed:
            return len(self._calls)

    def _joined(self, deadline: Deadline, key: Hashable, function: Callable[[], object]) -> _Call[object]:
        with self._changed:
            self._changed.wait_for(lambda: key in self._calls or self._has_room(), deadline.remaining)
            call = self._calls.get(key)
            if call is not None:
                return call
            if not self._has_room():
                raise CrowdedError
            call = self._calls[key] = _Call()
        thread = threading.Thread(target=self._run, args=(key, call, function), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left
            self._forget(key)
            raise CrowdedError from None
        return call

    def _run(self, key: Hashable, call: _Call[object], function: Callable[[], object]) -> None:
        try:
            call.answer = function()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            call.error = error
        finally:
            self._forget(key)
            call.finished.set()

    def _has_room(self) -> bool:
        return len(self._calls) < self._most

    def _forget(self, key: Hashable) -> None:
        with self._changed:
            self._calls.pop(key, None)
            self._changed.notify_all()
