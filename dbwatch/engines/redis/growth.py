"""Owns what counters have grown by between two looks of one probe. Pure.

Levels know `delta()` over one check's own exported columns; a probe needs it over fields that another check exports, or
over so many that they are no columns.
"""

from __future__ import annotations

from collections.abc import Mapping


class Growth:
    """The counters of the previous look. One subclass a probe: `Memory` keeps one object of each kind."""

    def __init__(self) -> None:
        self._before: Mapping[str, float] | None = None

    def since(self, now: Mapping[str, float]) -> Mapping[str, float] | None:
        """The growth of each counter; None at the first look.

        One that fell, by a restart or CONFIG RESETSTAT, has grown from zero; so has one that was not there.
        """
        before, self._before = self._before, dict(now)
        if before is None:
            return None
        return {
            name: value - then if value >= (then := before.get(name, 0.0)) else value for name, value in now.items()
        }
