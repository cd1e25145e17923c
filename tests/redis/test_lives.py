"""What happened to a server between two looks: a restart, a promotion, a failover that hangs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from dbwatch.catalogue import Check
from dbwatch.config.target import Expect
from dbwatch.engines.redis.adapter import RedisAdapter
from dbwatch.engines.redis.peers import Peers
from dbwatch.lanes import Lane
from dbwatch.model import Outcome, Role, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.conftest import FreshRedis
from tests.harness.binaries import REDIS_ENDS, RedisKind
from tests.harness.freeze import frozen
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually
from tests.redis.targets import bundled_check, target_of

Watch = Callable[..., "Watched"]


class Watched:
    """One target looked at by one lane; those of one test share what primaries tell each other, as in the daemon."""

    def __init__(self, url: str, check: Check, peers: Peers, watchdog: Watchdog, **changes: object) -> None:
        self.target = target_of(url, **changes)
        self.check = check
        self.lane = Lane(self.target, RedisAdapter(peers), [check], Store(), watchdog)

    def look(self) -> Outcome:
        return self.lane.run(self.check.name)

    def answered(self) -> Outcome:
        """The next outcome that is one, past a lost connection and the pause after it."""

        def answer() -> Outcome | None:
            outcome = self.look()
            return outcome if outcome.answered else None

        found = eventually(answer, timeout=30, what=f"an answer of {self.target.name}")
        assert found is not None
        return found


@pytest.fixture
def watch(watchdog: Watchdog) -> Iterator[Watch]:
    peers = Peers()
    lanes: list[Lane] = []

    def start(server: RedisServer, check: str, /, **changes: object) -> Watched:
        watched = Watched(server.url(), bundled_check(check), peers, watchdog, **changes)
        lanes.append(watched.lane)
        return watched

    yield start
    for lane in lanes:
        lane.close()


def populate(server: RedisServer, keys: int, size: int = 1) -> None:
    with server.connect() as client, client.pipeline(transaction=False) as pipeline:
        for number in range(keys):
            pipeline.execute_command("SET", f"key{number}", os.urandom(size).hex())
        pipeline.execute()


@pytest.mark.parametrize("kind", REDIS_ENDS)
def test_a_restart_that_loses_the_data(kind: RedisKind, fresh_redis: FreshRedis, watch: Watch) -> None:
    server = fresh_redis(kind)
    populate(server, 12)
    watched = watch(server, "redis_server_restarted")
    assert watched.look().status is Status.OK
    server.restart()
    outcome = watched.answered()
    assert outcome.status is Status.WARNING
    assert "the server restarted; it held 12 keys, and 0 after its start; up for" in outcome.summary
    again = watched.look()
    assert (again.status, again.rows[0].values["restarts"]) == (Status.WARNING, 1.0)


@pytest.mark.parametrize("kind", REDIS_ENDS)
def test_a_promotion_is_noticed_and_two_primaries_are_told(
    kind: RedisKind, fresh_redis: FreshRedis, watch: Watch
) -> None:
    primary = fresh_redis(kind)
    replica = primary.replica()
    role = watch(replica, "redis_role_changed", expect=Expect(role=Role.STANDBY))
    old, new = (watch(server, "redis_split_brain", name=name) for server, name in ((primary, "a"), (replica, "b")))
    stranger = watch(fresh_redis(kind), "redis_split_brain", name="c")
    assert role.look().status is Status.OK
    assert [watched.look().status for watched in (old, new, stranger)] == [Status.OK, Status.SKIPPED, Status.OK]
    replica.command("REPLICAOF", "NO", "ONE")
    outcome = role.look()
    assert outcome.status is Status.CRITICAL
    assert "is a primary and is meant to be a replica; the replica was promoted: it is a primary" in outcome.summary
    assert new.look().status is Status.OK, "the old one was seen as a primary before, not since"
    outcome = old.look()
    assert (outcome.status, outcome.summary) == (
        Status.CRITICAL,
        "this server and b are primaries of one history at the same time",
    )
    assert new.look().rows[0].values["primaries"] == 2.0
    assert stranger.look().status is Status.OK
    primary.command("REPLICAOF", "127.0.0.1", replica.port)
    assert old.look().status is Status.SKIPPED
    assert new.look().status is Status.OK


def test_two_that_are_declared_primaries_and_two_ways_to_one_are_left_alone(
    fresh_redis: FreshRedis, watch: Watch
) -> None:
    primary = fresh_redis("redis-7.0")
    replica = primary.replica()
    replica.command("REPLICAOF", "NO", "ONE")
    servers = ((primary, "a"), (replica, "b"), (primary, "other way to a"))
    all_three = [
        watch(server, "redis_split_brain", name=name, expect=Expect(role=Role.PRIMARY)) for server, name in servers
    ]
    for _ in range(2):
        assert {watched.look().status for watched in all_three} == {Status.OK}


@pytest.mark.parametrize("kind", REDIS_ENDS)
def test_a_failover_that_waits_for_a_frozen_replica(kind: RedisKind, fresh_redis: FreshRedis, watch: Watch) -> None:
    primary = fresh_redis(kind)
    replica = primary.replica()
    watched = watch(primary, "redis_failover_stuck")
    assert watched.look().status is Status.OK
    with frozen(replica.pid):
        primary.command("SET", "a", "1")
        eventually(lambda: primary.command("FAILOVER") == "OK", what="the order to fail over")
        outcome = watched.look()
        again = watched.look()
        primary.command("FAILOVER", "ABORT")
    assert outcome.status is Status.WARNING
    assert "a failover is under way (waiting-for-sync)" in outcome.summary
    seconds = [one.rows[0].values["seen_seconds"] for one in (outcome, again)]
    assert seconds[0] is not None
    assert seconds[1] is not None
    assert seconds[0] < seconds[1]
    values = watched.look().rows[0].values
    assert (values["under_way"], values["seen_seconds"]) == (0.0, None)


@pytest.mark.parametrize("kind", ["redis-7.0", "valkey-9.1"])
def test_a_primary_that_loads_its_data(kind: RedisKind, fresh_redis: FreshRedis, watch: Watch) -> None:
    """Forty seconds for all keys, and an answer to others after each."""
    config = {"key-load-delay": "20000", "loading-process-events-interval-bytes": "1024"}
    server = fresh_redis(kind, config=config)
    populate(server, 2000, 600)
    server.command("SAVE")
    loading = watch(server, "redis_loading")
    restarted = watch(server, "redis_server_restarted")
    assert [watched.look().status for watched in (loading, restarted)] == [Status.OK, Status.OK]
    server.stop()
    server.start(wait=False)
    outcome = said(loading, Status.WARNING)
    assert "the server is loading its data and answers nobody" in outcome.summary
    assert outcome.rows[0].values["left_seconds"] is not None
    assert "restarted, and is loading its data" in said(restarted, Status.WARNING).summary


def said(watched: Watched, status: Status) -> Outcome:
    found = eventually(lambda: [o for o in [watched.look()] if o.status is status], timeout=30, what=f"{status}")
    return found[0]
