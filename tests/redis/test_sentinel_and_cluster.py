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
from tests.harness.sentinel import Sentinel
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
    eventually(lambda: ADAPTER.reach(target, Deadline.after(20)).rows[0]["up"] == 1.0, what="the sentinel")
    session = ADAPTER.connect(target, Deadline.after(20))
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


def test_a_failover_as_sentinel_tells_it(fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    primary = fresh_redis("redis-7.0")
    replica = primary.replica()
    with Sentinel(primary) as sentinel:
        names = ("redis_sentinel_failover", "redis_sentinel_without_replica")
        lane = lane_for(target_of(sentinel.url()), [bundled_check(name) for name in names], Store(), watchdog)
        eventually(
            lambda: lane.run(names[1]).rows[0].values["replicas_usable"] == 1.0, what="the Sentinel knows the replica"
        )
        assert lane.run(names[0]).status is Status.OK
        primary.stop()
        sentinel.command("SENTINEL", "SET", "main", "down-after-milliseconds", "200")
        moved = f"from 127.0.0.1:{primary.port} to 127.0.0.1:{replica.port}"
        # The epoch grows when the failover begins; the address changes when it is done.
        eventually(
            lambda: any(moved in finding.message for finding in lane.run(names[0]).findings),
            every=0.2,
            what="the failover is noticed",
        )
        # The old primary is the only replica now, and dead.
        eventually(lambda: lane.run(names[1]).status is Status.WARNING, every=0.2, what="no replica is left")
        lane.close()


def test_a_cluster_that_loses_a_primary(fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    config = {"cluster-enabled": "yes", "cluster-node-timeout": "500"}
    nodes = [fresh_redis("redis-7.0", config=config) for _ in range(3)]
    for node, slots in zip(nodes, ((0, 5460), (5461, 10922), (10923, 16383)), strict=True):
        node.command("CLUSTER", "ADDSLOTSRANGE", *slots)
        bus = node.command("CONFIG", "GET", "cluster-port")["cluster-port"]
        nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
    names = ("redis_cluster_down", "redis_cluster_node_failing")
    lane = lane_for(target_of(nodes[0].url()), [bundled_check(name) for name in names], Store(), watchdog)
    eventually(lambda: {lane.run(name).status for name in names} == {Status.OK}, what="the cluster is whole")
    nodes[2].stop()
    eventually(lambda: lane.run(names[0]).status is Status.CRITICAL, what="the cluster is down")
    eventually(lambda: lane.run(names[0]).rows[0].values["slots_failed"] == 5461.0, what="the nodes agree")
    (finding,) = lane.run(names[1]).findings
    assert f"primary 127.0.0.1:{nodes[2].port}" in finding.message
    lane.close()
