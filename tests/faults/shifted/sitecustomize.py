"""A clock that a test sets while the process runs: on PYTHONPATH, it moves the wall clock of any Python program.

DBWATCH_TEST_CLOCK names a file with the seconds that the clock is ahead. The monotonic clock stays as it is.
"""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

_FILE = os.environ.get("DBWATCH_TEST_CLOCK")
_real_time = time.time
_Real = datetime.datetime


def _now() -> float:
    text = Path(_FILE).read_text(encoding="ascii") if _FILE else ""
    return _real_time() + float(text or 0)


class _Kind(type):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Real)


class _Shifted(_Real, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _Real:  # type: ignore[override]  # a plain one, as it would be
        return _Real.fromtimestamp(_now(), tz)

    @classmethod
    def utcnow(cls) -> _Real:  # type: ignore[override]  # a plain one, as it would be
        return _Real.fromtimestamp(_now(), datetime.UTC).replace(tzinfo=None)


if _FILE:
    time.time = _now
    datetime.datetime = _Shifted  # type: ignore[misc]  # what is imported from now on sees the moved clock
