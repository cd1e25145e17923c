"""Calls that hang cost the caller its deadline and a sleeping thread, never more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from tests.harness.waiting import eventually


@pytest.fixture
def thaw() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_the_answer_and_the_error_come_back() -> None:
    aside = Aside("test")
    assert aside.within(Deadline.after(5), "a", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        aside.within(Deadline.after(5), "b", lambda: 1 // 0)
    assert aside.outstanding == 0


def test_a_hanging_call_is_left_and_joined(thaw: threading.Event) -> None:
    aside = Aside("test")
    started = time.monotonic()
    for _ in range(5):
        with pytest.raises(UnfinishedError):
            aside.within(Deadline.after(0.05), "one", thaw.wait)
    assert time.monotonic() - started < 20
    assert aside.outstanding == 1, "every caller started a thread of its own"
    thaw.set()
    eventually(lambda: aside.outstanding == 0)
    assert aside.within(Deadline.after(5), "one", lambda: "anew") == "anew"


def test_there_are_never_more_calls_than_allowed(thaw: threading.Event) -> None:
    aside = Aside("test", most_calls=2)
    for key in ("a", "b"):
        with pytest.raises(UnfinishedError):
            aside.within(Deadline.after(0.05), key, thaw.wait)
    with pytest.raises(CrowdedError):
        aside.within(Deadline.after(0.05), "c", lambda: 1)
    assert aside.outstanding == 2


def test_who_finds_no_room_waits_for_it(thaw: threading.Event) -> None:
    aside = Aside("test", most_calls=1)
    with pytest.raises(UnfinishedError):
        aside.within(Deadline.after(0.05), "slow", thaw.wait)
    threading.Timer(0.1, thaw.set).start()
    assert aside.within(Deadline.after(10), "patient", lambda: 1) == 1
