"""Owns what holds of an abort by another thread, whatever the way to the server."""

from __future__ import annotations

import time
from threading import Timer

import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.base import Session
from dbwatch.errors import ConnectionLost
from tests.harness.freeze import frozen
from tests.harness.redis import RedisServer
from tests.redis.targets import bundled_check


def ends_when_aborted(session: Session, server: RedisServer) -> None:
    """A call that the frozen server does not answer ends at once, and the session with it."""
    check = bundled_check("redis_persistence_failing")
    session.measure(check, Deadline.after(20))
    with frozen(server.pid):
        timer = Timer(0.3, session.abort)
        timer.start()
        started = time.monotonic()
        with pytest.raises(ConnectionLost):
            session.measure(check, Deadline.after(20))
        took = time.monotonic() - started
        timer.join()
    assert took < 10, f"{took:.1f} s"
    assert session.closed
    with pytest.raises(ConnectionLost):
        session.measure(check, Deadline.after(1))
