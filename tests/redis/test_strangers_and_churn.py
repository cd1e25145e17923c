"""What only clients can cause: logins that are refused, commands without one, connections without a pool."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from dbwatch.model import Outcome, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.conftest import FreshRedis
from tests.harness.binaries import REDIS_ENDS, RedisKind
from tests.harness.redis import RedisServer
from tests.redis.targets import bundled_check, lane_for, target_of

PASSWORD = "right"


def said(server: RedisServer, text: str, times: int = 1) -> bytes:
    """What the server answers to `text`, sent that often over one connection of its own, each after the last answer.

    After a refused login Redis 8.0 leaves the rest of what it has read where it is.
    """
    answers = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        for _ in range(times):
            client.sendall(text.encode())
            answer = b""
            while not answer.endswith(b"\r\n"):
                piece = client.recv(65536)
                assert piece, f"the server closed the connection after {answers!r}"
                answer += piece
            answers += answer
    return answers


def looked_at(
    name: str, server: RedisServer, watchdog: Watchdog, *, between: Callable[[], None] = lambda: None
) -> Outcome:
    check = bundled_check(name)
    lane = lane_for(target_of(server.url()), [check], Store(), watchdog)
    lane.run(check.name)
    between()
    outcome = lane.run(check.name)
    lane.close()
    return outcome


@pytest.mark.parametrize("kind", REDIS_ENDS)
def test_refused_logins_and_commands_without_one(kind: RedisKind, fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    server = fresh_redis(kind, config={"requirepass": PASSWORD})

    def strangers() -> None:
        assert said(server, "AUTH wrong\r\n", 20).count(b"-WRONGPASS") == 20
        assert said(server, "GET a\r\n", 15).count(b"-NOAUTH") == 15

    outcome = looked_at("redis_access_denied", server, watchdog, between=strangers)
    assert outcome.status is Status.WARNING
    assert outcome.summary.startswith("refused since the last look: 20 logins, 15 commands without a login")
    assert looked_at("redis_access_denied", server, watchdog).status is Status.OK


def test_a_connection_for_every_request(fresh_redis: FreshRedis, watchdog: Watchdog) -> None:
    server = fresh_redis("redis-7.0")

    def visits() -> None:
        for _ in range(300):
            assert said(server, "PING\r\n") == b"+PONG\r\n"

    outcome = looked_at("redis_connection_churn", server, watchdog, between=visits)
    values = outcome.rows[0].values
    assert values["opened"] == 300
    commands_each, per_second = values["commands_each"], values["opened_per_second"]
    assert commands_each is not None
    assert per_second is not None
    assert commands_each < 2
    assert (outcome.status is Status.WARNING) is (per_second > 20)
