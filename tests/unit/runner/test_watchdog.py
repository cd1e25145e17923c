"""What ends a run must not end the watchdog, and must not reach into the next run."""

from __future__ import annotations

import threading
import time

from dbwatch.deadline import Deadline
from dbwatch.runner.watchdog import Watchdog


class Session:
    """Its first abort fails; `cancel` takes a moment, as one over TLS does."""

    def __init__(self) -> None:
        self.aborts = 0
        self.aborted = threading.Event()
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        time.sleep(0.05)
        self.cancelled.set()

    def abort(self) -> None:
        self.aborts += 1
        if self.aborts == 1:
            raise RuntimeError("can't start new thread")
        self.aborted.set()


def test_a_failure_to_end_one_run_leaves_the_next_one_guarded() -> None:
    watchdog, session = Watchdog(grace_seconds=0.01), Session()
    limit = Deadline.after(10)
    with watchdog.guarding(session, Deadline.after(0)):
        while session.aborts == 0 and not limit.passed:
            time.sleep(0.001)
    with watchdog.guarding(session, Deadline.after(0)):
        assert session.aborted.wait(10)
    watchdog.close()


def test_a_cancel_under_way_is_over_before_the_next_run_begins() -> None:
    watchdog, session = Watchdog(grace_seconds=5.0), Session()
    limit = Deadline.after(10)
    with watchdog.guarding(session, Deadline.after(0)) as guarded:
        while not guarded.struck and not limit.passed:
            time.sleep(0.001)
    assert session.cancelled.is_set()
    watchdog.close()
