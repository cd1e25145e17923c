"""A control group at its limits, for real; skipped where none may be made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dbwatch.config import HostPlace
from dbwatch.model import Status
from tests.harness.waiting import eventually
from tests.host.watched import ControlGroup, looking

MIB = 2**20
SPIN = "while True: pass"
HOLD = "held = bytearray(b'x') * (int(sys.argv[1]) << 20); print('held', flush=True); sys.stdin.read()"
JOIN = "import sys; [open(path, 'w').write('0') for path in sys.argv[2:]]\n"
LIMIT = 128 * MIB


@pytest.fixture(scope="module")
def group() -> Iterator[ControlGroup]:
    made = ControlGroup(f"dbwatch-test-{os.getpid()}")
    try:
        made.make()
        made.limit(cpus=0.2, memory_bytes=LIMIT)
        yield made
    finally:
        made.remove()


@contextmanager
def inside(group: ControlGroup, program: str, argument: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A program of Python's that joins the group first."""
    command = [sys.executable, "-S", "-c", JOIN + program, str(argument), *group.doors]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_group_that_wants_more_than_its_quota_is_seen_to_be_stopped(group: ControlGroup) -> None:
    place = HostPlace(cgroup=group.name)
    with looking(place, "cpu_throttled", "cpu_saturated") as lane, inside(group, SPIN):
        lane.run("cpu_saturated")
        lane.run("cpu_throttled")
        eventually(lambda: lane.run("cpu_throttled").status is Status.CRITICAL)
        eventually(lambda: "group" in {finding.key for finding in lane.run("cpu_saturated").findings})
        rows = {row.key: row.values for row in lane.run("cpu_saturated").rows}
        assert rows["group"]["cpus"] == 0.2
        assert (rows["group"]["busy_seconds"] or 0) > 0


def test_a_group_close_to_its_limit_and_one_that_was_beyond_it(group: ControlGroup) -> None:
    place = HostPlace(cgroup=group.name)
    with looking(place, "memory_short", "oom_kill") as lane:
        before = {row.key: row.values for row in lane.run("memory_short").rows}
        assert before["group"]["limit_bytes"] == LIMIT
        assert (before["group"]["used_bytes"] or 0) < LIMIT / 2
        with inside(group, HOLD, 119) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            outcome = lane.run("memory_short")
            assert "group" in {finding.key for finding in outcome.findings}
        lane.run("oom_kill")
        with inside(group, HOLD, 400) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "", "it was killed"
        outcome = lane.run("oom_kill")
        killed = {finding.key: finding.values for finding in outcome.findings}
        assert (killed["group"]["new_kills"] or 0) >= 1
