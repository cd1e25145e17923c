"""How long a refused command is left alone: each try is a line in the server's ACL log, which holds 128 of them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from dbwatch.engines.memory import Memory
from dbwatch.engines.redis.asking import Refusals
from dbwatch.errors import Skipped
from dbwatch.lanes import FACTS_AGE_SECONDS
from dbwatch.model import Reason

REFUSED = Skipped(Reason.PRIVILEGE, "the user monitor may not run SLOWLOG GET", step="SLOWLOG GET")
UNKNOWN = Skipped(Reason.PLATFORM, "this server has no CONFIG GET", step="CONFIG GET")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def is_asked(refusals: Refusals, command: str) -> bool:
    try:
        refusals.stop(command)
    except Skipped:
        return False
    return True


def tries_in_a_day(memory: Memory, clock: Clock) -> list[float]:
    """When SLOWLOG GET was sent, by sessions of ten minutes that read their facts anew after five."""
    tries = []
    while clock.now < 86_400:
        refusals = Refusals("monitor", memory, clock)
        for _ in range(2):
            refusals.forget()
            if is_asked(refusals, "SLOWLOG GET"):
                tries.append(clock.now)
                refusals.note(REFUSED)
            assert not is_asked(refusals, "SLOWLOG GET")
            clock.now += FACTS_AGE_SECONDS
    return tries


def test_a_refused_command_is_tried_again_soon_and_then_ever_more_rarely() -> None:
    tries = tries_in_a_day(Memory(), Clock())
    assert tries[1] == FACTS_AGE_SECONDS
    assert len(tries) < 32  # four such commands must not fill the log in a day
    assert max(later - earlier for earlier, later in pairwise(tries)) <= 3600


def test_what_was_refused_is_said_as_it_was_then() -> None:
    refusals = Refusals("monitor", Memory(), Clock())
    refusals.note(REFUSED)
    refusals.note_unknown("CONFIG GET", UNKNOWN)
    assert refusals.names == {"slowlog|get"}
    with pytest.raises(Skipped, match=r"allow it: ACL SETUSER monitor \+slowlog\|get"):
        refusals.stop("SLOWLOG GET")
    with pytest.raises(Skipped, match="has no CONFIG GET") as caught:
        refusals.stop("CONFIG GET")
    assert caught.value.reason is Reason.PLATFORM
