"""Processes held by SIGSTOP for the length of a block: alive, connected, answering nothing. Always thawed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.proctree import alive, descendants, send, stopped
from tests.harness.waiting import eventually


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Hold these processes; inside the block they are stopped for certain."""
    try:
        send(pids, signal.SIGSTOP)
        eventually(lambda: all(stopped(pid) or not alive(pid) for pid in pids), every=0.01, what=f"SIGSTOP of {pids}")
        yield
    finally:
        send(pids, signal.SIGCONT)


@contextmanager
def frozen_tree(pid: int) -> Iterator[None]:
    """Hold a process and all below it: a whole PostgreSQL by its postmaster. The parent first, so it starts no more."""
    with frozen(pid), frozen(*descendants(pid)):
        yield
