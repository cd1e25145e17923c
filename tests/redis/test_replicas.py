"""Replication seen from both ends, in the states a rule on one field would miss."""

from __future__ import annotations

import pytest

from dbwatch.model import Outcome, Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.conftest import FreshRedis
from tests.harness.binaries import REDIS_ENDS, RedisKind
from tests.harness.freeze import frozen
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually
from tests.redis.targets import bundled_check, lane_for, target_of

QUICK = {
    Status.CRITICAL: "link_up == 0 and link_down_seconds >= 2s or silence_seconds >= 4s",
    Status.WARNING: "link_up == 0 and link_down_seconds >= 1s or silence_seconds >= 3s",
}


class Watched:
    """One server looked at by one lane with the replication check."""

    def __init__(self, server: RedisServer, watchdog: Watchdog, *, quick: bool = True) -> None:
        self.check = bundled_check("redis_replication_broken", QUICK if quick else None)
        self.lane = lane_for(target_of(server.url()), [self.check], Store(), watchdog)

    def look(self) -> Outcome:
        return self.lane.run(self.check.name)

    def becomes(self, status: Status) -> Outcome:
        def reached() -> Outcome | None:
            outcome = self.look()
            return outcome if outcome.status is status else None

        found = eventually(reached, timeout=20, every=0.2, what=f"status {status}")
        assert found is not None
        return found


@pytest.mark.parametrize("kind", REDIS_ENDS)
def test_a_replica_whose_primary_is_dead(kind: RedisKind, fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    primary = fresh_redis(kind)
    replica = primary.replica()
    watched = Watched(replica, watchdog)
    assert watched.look().reason is Reason.NO_BASELINE
    assert watched.look().status is Status.OK
    primary.stop()
    outcome = watched.becomes(Status.CRITICAL)
    assert f"127.0.0.1:{primary.port}" in outcome.summary
    assert outcome.rows[0].values["link_up"] == 0.0
    seconds = outcome.rows[0].values["link_down_seconds"]
    assert seconds is not None
    assert seconds >= 2
    primary.start()
    assert watched.becomes(Status.OK).rows[0].values["link_down_seconds"] is None
    watched.lane.close()


@pytest.mark.parametrize("kind", REDIS_ENDS)
def test_a_replica_that_never_had_a_primary(kind: RedisKind, fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    """Such a one says it is down since -1 seconds, for ever."""
    lonely = fresh_redis(kind, config={"replicaof": "127.0.0.1 1"})
    watched = Watched(lonely, watchdog)
    watched.look()
    outcome = watched.becomes(Status.CRITICAL)
    assert "has not reached its primary 127.0.0.1:1" in outcome.summary
    watched.lane.close()


def test_a_frozen_replica_is_silent_long_before_it_vanishes(fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    primary = fresh_redis("redis-7.0")
    replica = primary.replica()
    watched = Watched(primary, watchdog)
    watched.look()
    eventually(lambda: watched.look().rows[0].values["replicas_online"] == 1.0, what="the replica to be online")
    assert watched.look().status is Status.OK
    with frozen(replica.pid):
        outcome = watched.becomes(Status.CRITICAL)
    assert f"replica 127.0.0.1:{replica.port} has confirmed nothing for" in outcome.summary
    assert outcome.rows[0].labels == {}
    watched.becomes(Status.OK)
    watched.lane.close()


def test_heavy_writing_to_a_healthy_replica_is_no_finding(fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    """More than the whole backlog may be unconfirmed for a moment; that alone is not being behind."""
    primary = fresh_redis("valkey-9.1", config={"repl-backlog-size": "1mb"})
    primary.replica()
    watched = Watched(primary, watchdog, quick=False)
    watched.look()
    seen_behind = 0.0
    with primary.connect() as session:
        for round_ in range(20):
            session.execute_command("SET", f"big{round_}", "x" * 2_000_000)
            outcome = watched.look()
            assert outcome.status is Status.OK, outcome.summary
            seen_behind = max(seen_behind, outcome.rows[0].values["behind_bytes"] or 0.0)
    assert seen_behind > 1024 * 1024, "the test did not make the replica late"
    watched.lane.close()
