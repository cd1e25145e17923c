"""Reading and ending processes through /proc: children, state, and an end that also reaches frozen ones."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.harness.waiting import eventually


class Stat(NamedTuple):
    """The fields of /proc/<pid>/stat that the harness uses. `started` tells a reused pid from the first owner."""

    pid: int
    state: str
    parent: int
    started: int


def stat(pid: int) -> Stat | None:
    """What the kernel says about `pid`, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the command's name may hold spaces and brackets
    return Stat(pid=pid, state=fields[0], parent=int(fields[1]), started=int(fields[19]))


def alive(pid: int, started: int | None = None) -> bool:
    """Whether `pid` runs (a zombie does not), and is still the process that began at `started`."""
    found = stat(pid)
    return found is not None and found.state not in "ZX" and (started is None or found.started == started)


def stopped(pid: int) -> bool:
    """Whether `pid` is held by SIGSTOP."""
    found = stat(pid)
    return found is not None and found.state == "T"


def descendants(pid: int) -> list[int]:
    """Children of `pid`, their children and so on; parents before children."""
    by_parent: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := stat(int(entry.name))) is not None:
            by_parent.setdefault(found.parent, []).append(found.pid)
    found_pids: list[int] = []
    queue = [pid]
    while queue:
        children = by_parent.get(queue.pop(0), [])
        found_pids += children
        queue += children
    return found_pids


def send(pids: Iterable[int], sig: signal.Signals) -> None:
    """Signal every one that still exists."""
    for pid in pids:
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            continue


def end_tree(pid: int, *, started: int | None = None, first: signal.Signals, grace: float = 3.0) -> None:
    """Thaw `pid` and everything below it, ask `pid` to end with `first`, then SIGKILL what is left after `grace`.

    PostgreSQL wants SIGQUIT as the first word: a killed postmaster leaves a shared memory segment behind.
    """
    if not alive(pid, started):
        return
    tree = {p: found.started for p in (pid, *descendants(pid)) if (found := stat(p)) is not None}

    def gone() -> bool:
        return not any(alive(p, since) for p, since in tree.items())

    send(tree, signal.SIGCONT)
    send([pid], first)
    try:
        eventually(gone, timeout=grace, every=0.02)
    except TimeoutError:
        send([p for p, since in tree.items() if alive(p, since)], signal.SIGKILL)
        eventually(gone, timeout=5, every=0.02, what=f"end of process {pid}")
