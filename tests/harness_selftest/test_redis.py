"""Every kind of Redis starts, answers, is frozen, replicates and restarts."""

from __future__ import annotations

import pytest
import redis

from tests.conftest import FreshRedis
from tests.harness.binaries import REDIS_KINDS, RedisKind
from tests.harness.freeze import frozen
from tests.harness.redis import RedisServer


def test_every_kind_is_the_server_it_says(redis_server: RedisServer) -> None:
    info = redis_server.info("server")
    version = str(info.get("valkey_version") or info["redis_version"])
    assert version.startswith(redis_server.kind.partition("-")[2] + ".")
    assert redis_server.command("SET", "a", "1")
    assert redis_server.command("GET", "a") == "1"


@pytest.mark.parametrize("kind", REDIS_KINDS)
def test_a_replica_follows(kind: RedisKind, fresh_redis: FreshRedis) -> None:
    primary = fresh_redis(kind, config={"requirepass": "p@ss word/"} if kind == "redis-7.0" else None)
    replica = primary.replica()
    with primary.connect(socket_timeout=25) as session:  # WAIT is about the writes of its own connection
        session.set("a", "1")
        assert session.execute_command("WAIT", 1, 20_000) == 1
    assert replica.command("GET", "a") == "1"
    assert replica.info("replication")["role"] == "slave"


def test_restart_keeps_the_port_and_config_is_read(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-6.2", config={"maxmemory": "10mb"})
    before = server.pid
    server.restart()
    assert server.pid != before
    assert server.command("CONFIG", "GET", "maxmemory") in ({"maxmemory": "10485760"}, ["maxmemory", "10485760"])


def test_a_frozen_server_times_out(redis_server: RedisServer) -> None:
    with (
        frozen(redis_server.pid),
        redis_server.connect(socket_timeout=0.2) as session,
        pytest.raises(redis.TimeoutError),
    ):
        session.ping()
    assert redis_server.answers()
