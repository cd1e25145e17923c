"""Owns which checks of one target found no answer and are asked once more when the server answers. Pure.

A check that runs once an hour, by itself or for the budget's sake, would otherwise say for an hour what was true for
the ten seconds of a restart.
"""

from __future__ import annotations

from collections.abc import Collection

from dbwatch.model import Outcome, Reason, Status


class Unanswered:
    """Told of every run but the connect probe's, which has an answer whatever happens. One thread: the target's own."""

    def __init__(self) -> None:
        self._was_asked_again: dict[str, bool] = {}

    def note(self, outcome: Outcome) -> Collection[str]:
        """The checks to ask once more: one that finds no answer then either waits for its own time."""
        if outcome.status is Status.UNKNOWN and outcome.reason is not Reason.NO_BASELINE:
            self._was_asked_again.setdefault(outcome.check, False)
            return ()
        self._was_asked_again.pop(outcome.check, None)
        if not outcome.answered:
            return ()
        found = [name for name, again in self._was_asked_again.items() if not again]
        self._was_asked_again.update(dict.fromkeys(found, True))
        return found
