"""Waiting for a condition with a deadline. The only place of the test suite that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    fn: Callable[[], T],
    *,
    timeout: float = 30.0,
    every: float = 0.05,
    ignoring: type[BaseException] | tuple[type[BaseException], ...] = (),
    what: str = "",
) -> T:
    """Call `fn` until it answers something true and return that; `TimeoutError` says what it answered last.

    An exception of `ignoring` counts as "not yet". AssertionError may be named there, so a block of asserts
    can be waited for: it must then return something true at its end.
    """
    deadline = time.monotonic() + timeout
    while True:
        last: object
        cause: BaseException | None = None
        try:
            answer = fn()
            if answer:
                return answer
            last = answer
        except ignoring as error:
            last = cause = error
        left = deadline - time.monotonic()
        if left <= 0:
            name = what or getattr(fn, "__name__", repr(fn))
            raise TimeoutError(f"{name}: not within {timeout:g} s, last answer: {last!r}") from cause
        time.sleep(min(every, left))


def consistently(fn: Callable[[], object], *, during: float = 0.5, every: float = 0.05, what: str = "") -> None:
    """`fn` must answer something true at every look for `during` seconds; AssertionError names the look that failed."""
    start = time.monotonic()
    while (elapsed := time.monotonic() - start) < during:
        answer = fn()
        if not answer:
            name = what or getattr(fn, "__name__", repr(fn))
            raise AssertionError(f"{name}: {answer!r} after {elapsed:.2f} s, expected to hold for {during:g} s")
        time.sleep(every)
