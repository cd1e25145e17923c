"""Sentinels and cluster nodes are watched like any server; what does not apply to them is skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.deadline import Deadline
from dbwatch.model import Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.conftest import FreshRedis
from tests.harness import ports
from tests.harness.binaries import redis_server
from tests.harness.process import ServerProcess, remove_dir, server_dir
from tests.harness.waiting import eventually
from tests.redis.targets import ADAPTER, bundled_check, lane_for, target_of

DATA_CHECKS = (
    "redis_clients_saturated",
    "redis_hit_ratio",
    "redis_memory_pressure",
    "redis_persistence_failing",
    "redis_replication_broken",
)


@pytest.fixture
def sentinel_port(fresh_redis: FreshRedis) -> Iterator[int]:
    primary = fresh_redis("redis-7.0")
    claim = ports.claim()
    folder: Path = server_dir("sentinel")
    conf = folder / "sentinel.conf"
    conf.write_text(f"port {claim.number}\ndir {folder}\nsentinel monitor main 127.0.0.1 {primary.port} 1\n")
    process = ServerProcess([redis_server("redis-7.0"), conf, "--sentinel"], log=folder / "log")
    try:
        yield claim.number
    finally:
        process.kill()
        remove_dir(folder)
        claim.release()


def test_a_sentinel(sentinel_port: int, watchdog: Watchdog) -> None:
    target = target_of(f"redis://127.0.0.1:{sentinel_port}/0")
    eventually(lambda: ADAPTER.reach(target, Deadline.after(2)).rows[0]["up"] == 1.0, what="the sentinel")
    session = ADAPTER.connect(target, Deadline.after(2))
    assert session.facts.settings["mode"] == "sentinel"
    session.close()
    checks = [bundled_check(name) for name in DATA_CHECKS]
    lane = lane_for(target, checks, Store(), watchdog)
    outcomes = [lane.run(check.name) for check in checks]
    lane.close()
    assert [(o.status, o.reason) for o in outcomes] == [(Status.SKIPPED, Reason.SETTING)] * len(checks)


def test_a_cluster_node(fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    node = fresh_redis("redis-7.0", config={"cluster-enabled": "yes"})
    checks = [bundled_check(name) for name in DATA_CHECKS]
    lane = lane_for(target_of(node.url()), checks, Store(), watchdog)
    for check in checks:
        lane.run(check.name)
    outcomes = [lane.run(check.name) for check in checks]
    lane.close()
    assert {outcome.status for outcome in outcomes} == {Status.OK}
