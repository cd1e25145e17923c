"""An open session: what it asks, how often, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from dbwatch.deadline import Deadline
from dbwatch.errors import CheckError, ConnectionLost
from dbwatch.model import Outcome, Reason, Role, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.conftest import FreshRedis
from tests.harness.binaries import REDIS_KINDS, RedisKind
from tests.harness.freeze import frozen
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually
from tests.redis.aborting import ends_when_aborted
from tests.redis.targets import ADAPTER, bundled_check, lane_for, target_of


def commands_run(server: RedisServer, name: str) -> int:
    return int(server.info("commandstats").get(f"cmdstat_{name}", {}).get("calls", 0))


def test_several_checks_share_one_reading_and_one_check_never_gets_the_same_twice(redis_server: RedisServer) -> None:
    session = ADAPTER.connect(target_of(redis_server.url()), Deadline.after(20))
    redis_server.command("CONFIG", "RESETSTAT")
    memory, snapshots = bundled_check("redis_memory_pressure"), bundled_check("redis_snapshot_stuck")
    first = session.measure(memory, Deadline.after(20))
    shared = session.measure(snapshots, Deadline.after(20))
    redis_server.command("SET", "grown", "x" * 100_000)
    second = session.measure(memory, Deadline.after(20))
    asked = commands_run(redis_server, "info") - 1  # the harness asked once itself
    session.close()
    assert shared.read_at == first.read_at
    assert shared.database_seconds == 0.0
    assert second.read_at > first.read_at
    assert second.rows[0]["used_bytes"] != first.rows[0]["used_bytes"]
    assert asked <= 1, "the first reading is the one of the facts, the second our own"


def test_we_do_not_move_the_hit_ratio(redis_server: RedisServer) -> None:
    redis_server.command("SET", "a", "1")
    redis_server.command("CONFIG", "RESETSTAT")
    session = ADAPTER.connect(target_of(redis_server.url()), Deadline.after(20))
    for name in (
        "redis_big_key",
        "redis_clients_saturated",
        "redis_hit_ratio",
        "redis_memory_pressure",
        "redis_persistence_failing",
        "redis_replication_broken",
    ):
        session.measure(bundled_check(name), Deadline.after(20))
    ADAPTER.reach(target_of(redis_server.url()), Deadline.after(20))
    session.close()
    stats = redis_server.info("stats")
    assert (stats["keyspace_hits"], stats["keyspace_misses"]) == (0, 0)


@pytest.mark.parametrize("kind", REDIS_KINDS)
def test_a_frozen_server_ends_the_run_at_its_deadline(
    kind: RedisKind, fresh_redis: FreshRedis, watchdog: Watchdog
) -> None:
    server = fresh_redis(kind)
    check = replace(bundled_check("redis_persistence_failing"), timeout=0.5)
    store = Store()
    lane = lane_for(target_of(server.url()), [check], store, watchdog)
    assert lane.run(check.name).status is Status.OK
    with frozen(server.pid):
        started = time.monotonic()
        outcome = lane.run(check.name)
        took = time.monotonic() - started
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.TIMEOUT)
    assert took < 10
    assert store.state("cache").up is False
    assert reached_again(lambda: lane.run(check.name)).status is Status.OK
    lane.close()


def reached_again(run: Callable[[], Outcome]) -> Outcome:
    def look() -> Outcome | None:
        outcome = run()
        return outcome if outcome.answered else None

    found = eventually(look, timeout=30, what="the lane after its backoff")
    assert found is not None
    return found


def test_abort_from_another_thread_ends_a_blocked_call_at_once(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0")
    session = ADAPTER.connect(target_of(server.url()), Deadline.after(20))
    ends_when_aborted(session, server)


def test_a_connection_closed_while_idle_is_opened_anew(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbwatch.engines.redis.session._IDLE_SECONDS", 0.0)
    session = ADAPTER.connect(target_of(redis_server.url()), Deadline.after(20))
    check = bundled_check("redis_persistence_failing")
    session.measure(check, Deadline.after(20))
    redis_server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert session.measure(check, Deadline.after(20)).rows
    assert not session.closed
    session.close()


def test_a_server_that_went_away_is_a_lost_connection(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("valkey-9.1")
    session = ADAPTER.connect(target_of(server.url()), Deadline.after(20))
    server.stop()
    check = bundled_check("redis_snapshot_stuck")
    session.measure(check, Deadline.after(20))  # the reading of the facts is not a second old
    with pytest.raises(ConnectionLost):
        session.measure(check, Deadline.after(20))
    assert session.closed


def test_refresh_sees_a_failover(fresh_redis: FreshRedis) -> None:
    primary = fresh_redis("redis-7.0")
    replica = primary.replica()
    session = ADAPTER.connect(target_of(replica.url()), Deadline.after(20))
    before = session.facts
    replica.command("REPLICAOF", "NO", "ONE")
    after = session.refresh(Deadline.after(20))
    assert (before.role, after.role) == (Role.STANDBY, Role.PRIMARY)
    assert session.facts is after
    session.close()


@pytest.mark.parametrize(
    "command", ["KEYS", "CONFIG GET", "MONITOR", "EVAL", "SLOWLOG RESET", "FLUSHALL", "CLIENT KILL"]
)
def test_only_commands_that_look_are_sent(redis_server: RedisServer, command: str) -> None:
    redis_server.command("CONFIG", "RESETSTAT")
    session = ADAPTER.connect(target_of(redis_server.url()), Deadline.after(20))
    check = replace(bundled_check("redis_hit_ratio"), command=command)
    with pytest.raises(CheckError, match="does not send"):
        session.measure(check, Deadline.after(20))
    assert not session.closed
    session.close()
    assert commands_run(redis_server, command.lower().replace(" ", "|")) == 0


def test_other_commands_give_fields_too(redis_server: RedisServer) -> None:
    session = ADAPTER.connect(target_of(redis_server.url()), Deadline.after(20))
    base = bundled_check("redis_hit_ratio")
    hits, expired = base.fields["hits"], base.fields["noeviction"]
    columns = {"hits": base.columns["hits"], "noeviction": base.columns["noeviction"]}
    for command, field, least in (
        ("SLOWLOG LEN", "value", 0),
        ("MEMORY STATS", "peak.allocated", 100_000),
        ("CLIENT INFO", "id", 1),
    ):
        fields = {
            "hits": replace(hits, field=field),
            "noeviction": replace(expired, field="no"),
        }
        row = session.measure(replace(base, command=command, fields=fields, columns=columns), Deadline.after(20)).rows[
            0
        ]
        assert float(str(row["hits"])) >= least
        assert row["noeviction"] is None
    session.close()


def test_a_loading_server_lets_us_look_but_is_not_up(fresh_redis: FreshRedis) -> None:
    server = fresh_redis(
        "redis-7.0",
        config={
            "key-load-delay": "20000",
            "loading-process-events-interval-bytes": "1024",
            "enable-debug-command": "yes",
        },
    )
    server.command("DEBUG", "POPULATE", "2000")
    server.command("SAVE")
    server.stop()
    server.start(wait=False)
    row = eventually(lambda: loading_row(server), timeout=30, what="a look at the loading server")
    assert row is not None
    assert "loading" in str(row["message"])
    session = ADAPTER.connect(target_of(server.url()), Deadline.after(20))
    assert session.facts.version[0] == 7
    session.close()


def loading_row(server: RedisServer) -> dict[str, object] | None:
    row = dict(ADAPTER.reach(target_of(server.url()), Deadline.after(20)).rows[0])
    return row if (row["up"], row["reason"], row["phase"]) == (0.0, "not_ready", "ping") else None
