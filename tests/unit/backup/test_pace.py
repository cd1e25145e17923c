"""How often a tool is run."""

from __future__ import annotations

import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.backup.record import Seen, Source, SourceName
from dbwatch.engines.backup.tools.pace import LEAST_SECONDS, Paced
from dbwatch.errors import CheckError
from dbwatch.model import Reason

WITHIN = 30.0


class Counting:
    """A source that counts how often it is looked at, and fails while told to."""

    source = SourceName.PGBACKREST
    name = "main"

    def __init__(self) -> None:
        self.looks = 0
        self.fails = False

    def look(self, deadline: Deadline) -> Seen:
        self.looks += 1
        if self.fails:
            raise CheckError(Reason.TIMEOUT, "no answer", step="run", remedy="wait")
        return Seen(self.source, self.name, float(self.looks))


def test_a_tool_is_run_once_in_five_minutes() -> None:
    now = 0.0
    counting = Counting()
    paced: Source = Paced(counting, clock=lambda: now)
    first = paced.look(Deadline.after(WITHIN))
    now = LEAST_SECONDS - 1
    assert paced.look(Deadline.after(WITHIN)) is first
    now = LEAST_SECONDS
    assert paced.look(Deadline.after(WITHIN)).as_of_seconds == 2.0
    assert counting.looks == 2
    assert 240 < LEAST_SECONDS <= 300


def test_a_failure_is_not_asked_for_again_at_once() -> None:
    now = 0.0
    counting = Counting()
    counting.fails = True
    paced = Paced(counting, clock=lambda: now)
    for _ in range(3):
        with pytest.raises(CheckError, match="no answer") as caught:
            paced.look(Deadline.after(WITHIN))
        assert (caught.value.reason, caught.value.step, caught.value.remedy) == (Reason.TIMEOUT, "run", "wait")
    assert counting.looks == 1
    counting.fails, now = False, LEAST_SECONDS
    assert paced.look(Deadline.after(WITHIN)).name == "main"
