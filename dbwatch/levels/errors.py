"""Owns the two ways the language says no: a text is wrong, or PromQL cannot say it.

Refuses to know files and lines; the caller knows which file the text came from and adds it.
"""

from __future__ import annotations


class LevelError(ValueError):
    """A text is not a level. `offset` counts characters from 0; `message` already carries the hint."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(f"{message} (at character {offset + 1})")
        self.message = message
        self.offset = offset

    def __reduce__(self) -> tuple[object, ...]:
        # args hold the finished sentence; without this a pickled error (pytest-xdist) repeats its position
        return type(self), (self.message, self.offset)


class NotExpressible(Exception):
    """Right as a level, but PromQL has no way to say it; `reason` is a sentence for the generated docs.

    Not an error of the text: the caller falls back to an alert on the findings.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
