"""What the checks say of the machine that runs the tests: numbers it can prove, or skipped with a reason."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from dbwatch.config import HostPlace
from dbwatch.engines.host.kernel import RealKernel
from dbwatch.errors import Skipped
from dbwatch.model import Outcome, Reason, Status
from tests.host.watched import looking

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
NOT_HERE = (Reason.PLATFORM, Reason.PRIVILEGE)


def test_every_check_answers_or_says_why_not(tmp_path: Path) -> None:
    place = HostPlace(volumes={"data": tmp_path})
    with looking(place) as lane:
        for _ in range(2):
            outcomes: dict[str, Outcome] = {name: lane.run(name) for name in lane.checks}
    assert len(outcomes) >= 16
    blind = {name: o.reason for name, o in outcomes.items() if not o.answered}
    assert all(outcomes[name].status is Status.SKIPPED and reason in NOT_HERE for name, reason in blind.items()), blind
    assert {"cpu_saturated", "memory_short", "volume_full", "load_high", "volume_unreachable"}.isdisjoint(blind)

    def value(check: str, column: str, row: int = 0) -> float:
        found = outcomes[check].rows[row].values[column]
        assert found is not None
        return found

    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    assert value("memory_short", "limit_bytes") == pytest.approx(pages * size, rel=0.01)
    assert value("cpu_saturated", "cpus") == os.sysconf("SC_NPROCESSORS_ONLN")
    assert 0 < value("memory_short", "used_bytes") < value("memory_short", "limit_bytes")
    disk = os.statvfs(tmp_path)
    assert value("volume_full", "available_bytes") == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.2)
    assert value("cpu_time_lost", "whole_seconds") > value("cpu_saturated", "busy_seconds") > 0


def test_the_facts_are_those_of_the_kernel() -> None:
    with looking(HostPlace(), "load_high") as lane:
        assert lane.run("load_high").answered
        session = lane._live_session()
        facts = session.facts
    assert facts.version_text == os.uname().release
    assert facts.started_at_seconds is not None
    assert abs(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) - facts.started_at_seconds) < 60


def test_the_kernels_clock_is_read_without_any_right() -> None:
    try:
        seen = RealKernel().clock()
    except Skipped as error:
        pytest.skip(str(error))
    assert 0 <= seen.max_error_seconds <= 17
    assert abs(seen.offset_seconds) < 10


def test_a_root_that_holds_no_machine_is_unreachable(tmp_path: Path) -> None:
    with looking(HostPlace(root=tmp_path), "load_high") as lane:
        outcome = lane.run("load_high")
        assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.ERROR)
        assert f"mount the machine's / at {tmp_path}" in outcome.summary


def test_a_path_that_the_kernel_refuses_is_told_and_no_crash() -> None:
    """As for a user that may not look below `root`, which root always may."""
    refused = "x" * 300
    with looking(HostPlace(root=Path("/", refused)), "load_high") as lane:
        outcome = lane.run("load_high")
        assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.PRIVILEGE)
        assert "cannot be looked at: File name too long" in outcome.summary
    with looking(HostPlace(cgroup=refused), "cpu_throttled", "memory_short") as lane:
        assert lane.run("cpu_throttled").status is Status.SKIPPED
        assert "could not be looked at" in lane.run("memory_short").summary


def test_a_root_is_followed_everywhere(tmp_path: Path) -> None:
    (tmp_path / "proc").symlink_to("/proc")
    (tmp_path / "sys").symlink_to("/sys")
    (tmp_path / "srv").mkdir()
    with looking(HostPlace(root=tmp_path, volumes={"data": Path("/srv")}), "volume_full", "cpu_saturated") as lane:
        assert lane.run("volume_full").rows[0].details["path"] == str(tmp_path / "srv")
        assert lane.run("cpu_saturated").rows[0].values["cpus"] == os.sysconf("SC_NPROCESSORS_ONLN")
