"""Row 53: every way a Redis can refuse, seen by whoever connects now and by a session that has been open before.

`held` is what an open session's check of INFO says, `fresh` what the first check of a new connection says, `reached`
what the connect probe says. Each comes within the deadline, on every kind of server.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace

import pytest
import redis

from dbwatch.backoff import Backoff
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.engines.redis.adapter import RedisAdapter
from dbwatch.engines.redis.session import RedisSession
from dbwatch.errors import CheckError
from dbwatch.lanes import Lane
from dbwatch.model import Outcome, Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.harness.binaries import REDIS_KINDS, RedisKind
from tests.harness.freeze import frozen
from tests.harness.proxy import Proxy
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually
from tests.redis.targets import ADAPTER, bundled_check, lane_for, target_of

Verdict = tuple[Status, Reason | None]
FINE: Verdict = (Status.OK, None)
CHECK = bundled_check("redis_snapshot_stuck", timeout=20.0)
OTHER = bundled_check("redis_fork_slow", command="MEMORY STATS")
"""A command that is refused where INFO is answered."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A server for all situations, and one to copy data from."""

    server: RedisServer
    source: RedisServer

    def target(self, user: str = "watcher") -> Target:
        named = user != "default"
        return target_of(self.server.url(user=user, password="pw") if named else self.server.url())


@dataclass(frozen=True, slots=True)
class Situation:
    """What happens, and what is then said. `reached` is None where the server lets us in and answers PING.

    `patience` is short where the answer is that none came.
    """

    name: str
    begin: Callable[[Stage], AbstractContextManager[None]]
    reached: Reason | None
    fresh: Verdict
    held: Verdict
    other: Reason | None = None
    user: str = "watcher"
    patience: float = 20.0


def unknown(reason: Reason) -> Verdict:
    return (Status.UNKNOWN, reason)


@contextmanager
def freezing(stage: Stage) -> Iterator[None]:
    with frozen(stage.server.pid):
        yield


@contextmanager
def loading(stage: Stage) -> Iterator[None]:
    """The server copies keys from its primary, one every 20 ms, and answers commands in between."""
    server = stage.server
    server.command("CONFIG", "SET", "key-load-delay", "20000")
    server.command("REPLICAOF", "127.0.0.1", stage.source.port)
    try:
        eventually(lambda: server.info("persistence")["loading"] == 1, every=0.01, what="the copy to be loaded")
        yield
    finally:
        server.command("CONFIG", "SET", "key-load-delay", "0")
        eventually(lambda: server.command("REPLICAOF", "NO", "ONE"), ignoring=redis.RedisError, what="the end of it")


@contextmanager
def without_primary(stage: Stage) -> Iterator[None]:
    server = stage.server
    server.command("CONFIG", "SET", "replica-serve-stale-data", "no")
    server.command("REPLICAOF", "127.0.0.1", "1")
    try:
        yield
    finally:
        server.command("REPLICAOF", "NO", "ONE")
        server.command("CONFIG", "SET", "replica-serve-stale-data", "yes")


@contextmanager
def busy(stage: Stage) -> Iterator[None]:
    def is_busy() -> bool:
        try:
            stage.server.command("PING")
        except redis.ResponseError as error:
            return str(error).startswith("BUSY")
        return False

    with stage.server.connect() as client:
        connection = client.connection_pool.get_connection()
        connection.send_command("EVAL", "while true do end", "0")
        try:
            eventually(is_busy, ignoring=redis.TimeoutError, what="the script to be noticed")
            yield
        finally:
            stage.server.command("SCRIPT", "KILL")
            connection.disconnect()


@contextmanager
def full(stage: Stage) -> Iterator[None]:
    with stage.server.connect() as keeper:
        keeper.execute_command("CONFIG", "SET", "maxclients", "1")
        try:
            yield
        finally:
            keeper.execute_command("CONFIG", "SET", "maxclients", "1000")


@contextmanager
def requiring_a_password(stage: Stage) -> Iterator[None]:
    server = stage.server
    target_url = server.url()
    server.command("CONFIG", "SET", "requirepass", "later")
    server.config["requirepass"] = "later"
    assert server.url() != target_url
    try:
        yield
    finally:
        server.command("CONFIG", "SET", "requirepass", "")
        del server.config["requirepass"]


def altering(*rules: str) -> Callable[[Stage], AbstractContextManager[None]]:
    @contextmanager
    def begin(stage: Stage) -> Iterator[None]:
        stage.server.command("ACL", "SETUSER", "watcher", *rules)
        yield

    return begin


@contextmanager
def deleting_the_user(stage: Stage) -> Iterator[None]:
    stage.server.command("ACL", "DELUSER", "watcher")
    yield


SITUATIONS = (
    Situation(
        "frozen",
        freezing,
        Reason.TIMEOUT,
        unknown(Reason.TIMEOUT),
        unknown(Reason.TIMEOUT),
        Reason.TIMEOUT,
        patience=0.3,
    ),
    Situation("LOADING", loading, Reason.NOT_READY, FINE, FINE),
    Situation("MASTERDOWN", without_primary, Reason.NOT_READY, FINE, FINE, Reason.NOT_READY),
    Situation("BUSY", busy, Reason.NOT_READY, unknown(Reason.NOT_READY), unknown(Reason.NOT_READY), Reason.NOT_READY),
    Situation("maxclients", full, Reason.TOO_MANY_CONNECTIONS, unknown(Reason.TOO_MANY_CONNECTIONS), FINE),
    Situation("NOAUTH", requiring_a_password, Reason.AUTH, unknown(Reason.AUTH), FINE, user="default"),
    Situation("WRONGPASS", altering("resetpass", ">new"), Reason.AUTH, unknown(Reason.AUTH), FINE),
    Situation("user off", altering("off"), Reason.AUTH, unknown(Reason.AUTH), FINE),
    Situation(
        "NOPERM for INFO",
        altering("-info"),
        None,
        (Status.SKIPPED, Reason.PRIVILEGE),
        (Status.SKIPPED, Reason.PRIVILEGE),
    ),
    Situation("NOPERM for PING", altering("-ping"), None, FINE, FINE),
    Situation("NOPERM for another", altering("-memory"), None, FINE, FINE, Reason.PRIVILEGE),
    Situation("user deleted", deleting_the_user, Reason.AUTH, unknown(Reason.AUTH), unknown(Reason.AUTH)),
)


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    dog = Watchdog()
    yield dog
    dog.close()


@pytest.fixture(scope="module")
def stage_of() -> Iterator[Callable[[RedisKind], Stage]]:
    with ExitStack() as running:
        stages: dict[RedisKind, Stage] = {}
        sources: list[RedisServer] = []

        def source() -> RedisServer:
            """Data that take 40 s to load, a key of a kilobyte at a time. An old server's copy loads on all newer."""
            if not sources:
                sources.append(running.enter_context(RedisServer("redis-6.2")))
                with sources[0].connect() as client, client.pipeline(transaction=False) as pipeline:
                    for number in range(2000):
                        pipeline.execute_command("SET", f"key{number}", os.urandom(600).hex())
                    pipeline.execute()
            return sources[0]

        def stage(kind: RedisKind) -> Stage:
            if kind not in stages:
                slow = {} if kind == "redis-6.2" else {"loading-process-events-interval-bytes": "1024"}
                server = RedisServer(kind, config={"lua-time-limit": "20", **slow})
                stages[kind] = Stage(running.enter_context(server), source())
            return stages[kind]

        yield stage


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
@pytest.mark.parametrize("kind", REDIS_KINDS)
def test_row_53_a_refusal_has_its_reason(
    kind: RedisKind,
    situation: Situation,
    stage_of: Callable[[RedisKind], Stage],
    watchdog: Watchdog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if (kind, situation.name) == ("redis-6.2", "LOADING"):
        return  # it answers nobody between two megabytes, so that this is being frozen
    if (kind, situation.name) == ("redis-6.2", "MASTERDOWN"):
        situation = replace(situation, reached=None)  # it answers PING all the same
    stage = stage_of(kind)
    stage.server.command("ACL", "SETUSER", "watcher", "reset", "on", ">pw", "+info", "+ping", "+memory")
    target = stage.target(situation.user)
    quick = replace(CHECK, name="quick", timeout=situation.patience)
    held = lane_for(target, [CHECK, quick], Store(), watchdog)
    fresh = lane_for(replace(target, connect_timeout=situation.patience), [quick], Store(), watchdog)
    session = RedisAdapter().connect(target, Deadline.after(20))  # one that remembers no refusal of before
    try:
        assert verdict_of(held.run(CHECK.name)) == FINE
        assert verdict_of(held.run("quick")) == FINE  # from the same reading of INFO; the next one is its own
        monkeypatch.setattr("dbwatch.lanes._FACTS_SECONDS", 0.0)
        with situation.begin(stage):
            started = time.monotonic()
            row = ADAPTER.reach(target, Deadline.after(situation.patience)).rows[0]
            said = verdict_of(fresh.run("quick")), settled(lambda: held.run("quick"))
            other = reason_of(lambda: session.measure(OTHER, Deadline.after(situation.patience)))
            took = time.monotonic() - started
    finally:
        session.close()
        held.close()
        fresh.close()
    assert row["up"] == (0.0 if situation.reached else 1.0)
    assert row["reason"] == (str(situation.reached) if situation.reached else None)
    assert said == (situation.fresh, situation.held)
    if situation.other is not None:
        assert other is situation.other
    assert took < max(20.0, 5 * situation.patience), "a deadline was not kept"


def verdict_of(outcome: Outcome) -> Verdict:
    return outcome.status, outcome.reason


def settled(look: Callable[[], Outcome]) -> Verdict:
    """The verdict, or the one after it where the server has hung up on us without a word."""
    first = verdict_of(look())
    return verdict_of(look()) if first == unknown(Reason.CONNECTION_LOST) else first


def reason_of(work: Callable[[], object]) -> Reason | None:
    try:
        work()
    except CheckError as error:
        return error.reason
    return None


@pytest.mark.parametrize("kind", [kind for kind in REDIS_KINDS if kind != "redis-6.2"])
def test_row_53_protected_mode(kind: RedisKind, stage_of: Callable[[RedisKind], Stage], watchdog: Watchdog) -> None:
    """6.2 is in protected mode only where no address is bound."""
    address = own_address()
    if address is None:
        pytest.skip("this machine has no network")
    server = stage_of(kind).server
    server.command("CONFIG", "SET", "bind", f"127.0.0.1 {address}")
    server.command("CONFIG", "SET", "protected-mode", "no")
    target = target_of(f"redis://{address}:{server.port}/0")
    held, fresh = (lane_for(target, [CHECK], Store(), watchdog) for _ in range(2))
    try:
        assert verdict_of(held.run(CHECK.name)) == FINE
        server.command("CONFIG", "SET", "protected-mode", "yes")
        row = ADAPTER.reach(target, Deadline.after(20)).rows[0]
        said = verdict_of(fresh.run(CHECK.name)), verdict_of(held.run(CHECK.name))
    finally:
        held.close()
        fresh.close()
        server.command("CONFIG", "SET", "protected-mode", "yes")
        server.command("CONFIG", "SET", "bind", "127.0.0.1")
    assert (row["up"], row["reason"]) == (0.0, str(Reason.AUTH))
    assert "protected mode" in str(row["message"])
    assert said == (unknown(Reason.AUTH), FINE)


def own_address() -> str | None:
    """An address of this machine that is not loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith("127.") else address


class Counting(RedisAdapter):
    attempts = 0

    def connect(self, target: Target, deadline: Deadline) -> RedisSession:
        self.attempts += 1
        return super().connect(target, deadline)


@pytest.mark.parametrize("fault", ["deaf", "reset", "refuse"])
def test_row_53_no_storm_of_retries(
    fault: str,
    shared_redis: Callable[[RedisKind], RedisServer],
    proxy_to: Callable[[int], Proxy],
    watchdog: Watchdog,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A hundred runs at a server that is away are as many attempts as the backoff has steps, and one attempt is one."""
    server = shared_redis("redis-7.0")
    proxy = proxy_to(server.port)
    target = target_of(proxy.url(server.url()), connect_timeout=0.3)
    adapter, now = Counting(), 0.0
    lane = Lane(target, adapter, [replace(CHECK, timeout=0.3)], Store(), watchdog)
    lane._backoff = Backoff(lambda: now)
    try:
        assert lane.run(CHECK.name).answered
        lane.close()
        monkeypatch.setattr("dbwatch.lanes._FACTS_SECONDS", 0.0)
        getattr(proxy, fault)()
        before, adapter.attempts = proxy.accepted, 0
        for second in range(100):
            now = float(second)
            assert lane.run(CHECK.name).status is Status.UNKNOWN
        assert 5 <= adapter.attempts <= 10, "1, 2, 4, 8, 16, 32 s and then a minute, with jitter"
        assert proxy.accepted - before <= adapter.attempts, "no attempt knocks twice"
        proxy.pass_()
        monkeypatch.setattr("dbwatch.lanes._FACTS_SECONDS", 20.0)
        now += 61
        assert lane.run(CHECK.name).answered
    finally:
        lane.close()
