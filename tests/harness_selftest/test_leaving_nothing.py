"""Whatever happens to a test run, its servers and folders do not outlive it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.binaries import MissingError
from tests.harness.ports import claim
from tests.harness.proctree import alive, descendants
from tests.harness.reaper import ROOT
from tests.harness.requirement import required, unavailable
from tests.harness.waiting import consistently, eventually

OWNER = """
import sys
from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer
pg, redis = Postgres(16).start(), RedisServer("redis-6.2").start()
print(pg.postmaster_pid, redis.pid, pg.dir, redis.dir, flush=True)
sys.stdin.read()
"""


def test_a_killed_run_leaves_neither_process_nor_folder() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with owner:
        assert owner.stdout is not None
        words = owner.stdout.readline().split()
        pids = [int(word) for word in words[:2]]
        pids += descendants(pids[0])
        assert all(alive(pid) for pid in pids)
        owner.send_signal(signal.SIGKILL)
        owner.wait(10)
    eventually(lambda: not any(alive(pid) for pid in pids), timeout=15)
    eventually(lambda: not any(Path(word).exists() for word in words[2:]), timeout=15)


def test_claimed_ports_differ() -> None:
    claims = [claim() for _ in range(50)]
    assert len({one.number for one in claims}) == 50
    for one in claims:
        one.release()


def test_waiting_says_what_it_saw_last() -> None:
    with pytest.raises(TimeoutError, match=r"the moon: not within 0\.05 s, last answer: 0"):
        eventually(lambda: 0, timeout=0.05, every=0.01, what="the moon")
    with pytest.raises(TimeoutError, match="ValueError"):
        eventually(lambda: int("x"), timeout=0.05, every=0.01, ignoring=ValueError)
    with pytest.raises(AssertionError, match="expected to hold"):
        consistently(lambda: False)


@pytest.mark.parametrize(
    ("setting", "fails"), [("", False), ("redis", False), ("all", True), ("redis, postgres", True)]
)
def test_missing_skips_unless_required(setting: str, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBWATCH_REQUIRE", setting)
    assert required("postgres") is fails
    expected = pytest.fail.Exception if fails else pytest.skip.Exception
    with pytest.raises(expected, match="no PostgreSQL 99"):
        unavailable(MissingError("postgres", "no PostgreSQL 99"))
