"""How a session opens, and what is said when it does not."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.config import PasswordSource
from dbwatch.deadline import Deadline
from dbwatch.errors import Skipped, TargetError
from dbwatch.model import Reason, Role
from tests.conftest import FreshRedis
from tests.harness.binaries import REDIS_KINDS, RedisKind
from tests.harness.redis import RedisServer
from tests.redis.targets import ADAPTER, bundled_check, target_of

SECRET = "p@ss wörd/"


def connect_error(url: str, **changes: object) -> TargetError:
    with pytest.raises(TargetError) as caught:
        ADAPTER.connect(target_of(url, **changes), Deadline.after(20))
    return caught.value


def test_the_facts_are_those_of_the_server(redis_server: RedisServer) -> None:
    session = ADAPTER.connect(target_of(redis_server.url()), Deadline.after(20))
    facts = session.facts
    session.close()
    flavour, _, version = redis_server.kind.partition("-")
    assert facts.flavour == flavour
    assert facts.version[:2] == tuple(int(part) for part in version.split("."))
    assert facts.version_text.startswith(version)
    assert facts.role is Role.PRIMARY
    assert facts.settings["mode"] == "standalone"
    assert facts.settings["maxmemory_policy"] == "noeviction"
    assert {"info", "ping"} <= facts.privileges
    assert facts.user == "default"
    assert facts.started_at_seconds is not None
    assert abs(facts.started_at_seconds + redis_server.info("server")["uptime_in_seconds"] - time.time()) < 5


def test_a_replica_is_a_standby(fresh_redis: FreshRedis) -> None:
    primary = fresh_redis("valkey-9.1")
    session = ADAPTER.connect(target_of(primary.replica().url()), Deadline.after(20))
    assert session.facts.role is Role.STANDBY
    session.close()


def test_refused_says_so_at_once() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    started = time.monotonic()
    error = connect_error(f"redis://127.0.0.1:{port}/0")
    assert (error.reason, error.phase) == (Reason.REFUSED, "connect")
    assert time.monotonic() - started < 10


def test_a_second_address_is_tried_when_the_first_refuses(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbwatch.engines.redis.opening.resolve", lambda *_: ("127.0.0.9", "127.0.0.1"))
    session = ADAPTER.connect(target_of(f"redis://cache.test:{redis_server.port}/0"), Deadline.after(20))
    assert not session.closed
    session.close()


def test_a_dead_name_server_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    thaw = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: thaw.wait(30) and [])
    started = time.monotonic()
    try:
        with pytest.raises(TargetError) as caught:
            ADAPTER.connect(target_of("redis://cache.test:6379/0"), Deadline.after(0.3))
    finally:
        thaw.set()
    assert (caught.value.reason, caught.value.phase) == (Reason.DNS, "resolve")
    assert "cache.test" in str(caught.value)
    assert time.monotonic() - started < 10


def test_an_unknown_name() -> None:
    error = connect_error("redis://no.such.host.invalid:6379/0")
    assert (error.reason, error.phase) == (Reason.DNS, "resolve")


def test_a_server_without_a_password_for_us(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0", config={"requirepass": "secret-of-the-server"})
    error = connect_error(f"redis://127.0.0.1:{server.port}/0")
    assert (error.reason, error.phase) == (Reason.AUTH, "auth")
    assert "wants a password" in str(error)


def test_a_wrong_password_is_never_shown(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0", config={"requirepass": "secret-of-the-server"})
    error = connect_error(f"redis://:not-the-secret@127.0.0.1:{server.port}/0")
    assert (error.reason, error.phase) == (Reason.AUTH, "auth")
    chain = [str(error), repr(error), str(error.__cause__)]
    assert not any("not-the-secret" in text for text in chain)


def test_a_server_that_repeats_what_it_was_sent(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0", config={"rename-command": 'AUTH ""'})
    error = connect_error(f"redis://:hunter2-is-secret@127.0.0.1:{server.port}/0")
    assert "unknown command" in str(error)
    assert "hunter2-is-secret" not in "".join(traceback.format_exception(error))
    row = ADAPTER.reach(target_of(f"redis://:hunter2-is-secret@127.0.0.1:{server.port}/0"), Deadline.after(20)).rows[0]
    assert "hunter2-is-secret" not in str(row)


def test_a_password_nobody_wants(redis_server: RedisServer) -> None:
    error = connect_error(f"redis://:needless@127.0.0.1:{redis_server.port}/0")
    assert error.reason is Reason.AUTH
    assert "no password" in str(error)


def test_the_password_is_read_at_every_connect(fresh_redis: FreshRedis, tmp_path: Path) -> None:
    server = fresh_redis("valkey-9.1", config={"requirepass": "first"})
    file = tmp_path / "password"
    file.write_text("wrong\n")
    target = target_of(f"redis://127.0.0.1:{server.port}/0", password=PasswordSource(file=file))
    with pytest.raises(TargetError):
        ADAPTER.connect(target, Deadline.after(20))
    file.write_text("first\n")
    ADAPTER.connect(target, Deadline.after(20)).close()


def test_a_full_server(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0", config={"maxclients": "1"})
    with server.connect() as only:
        assert only.ping()
        error = connect_error(server.url())
        reached = ADAPTER.reach(target_of(server.url()), Deadline.after(20)).rows[0]
    assert error.reason is Reason.TOO_MANY_CONNECTIONS
    assert (reached["up"], reached["reason"]) == (0.0, "too_many_connections")


def test_a_database_that_is_not_there(redis_server: RedisServer) -> None:
    assert connect_error(redis_server.url(db=9999)).reason is Reason.NO_DATABASE
    ADAPTER.connect(target_of(redis_server.url(db=5)), Deadline.after(20)).close()


def test_the_least_privileged_user_is_enough(redis_server: RedisServer) -> None:
    redis_server.command("ACL", "SETUSER", "watcher", "reset", "on", ">" + SECRET, "+info", "+ping")
    redis_server.command("CONFIG", "RESETSTAT")
    target = target_of(redis_server.url(user="watcher", password=SECRET, db=3))
    try:
        session = ADAPTER.connect(target, Deadline.after(20))
        measured = session.measure(bundled_check("redis_memory_pressure"), Deadline.after(20))
        session.close()
        reached = ADAPTER.reach(target_of(redis_server.url(user="watcher", password=SECRET)), Deadline.after(20))
        before = redis_server.info("errorstats")
        ADAPTER.reach(target_of(redis_server.url(user="watcher", password=SECRET)), Deadline.after(20))
        after = redis_server.info("errorstats")
    finally:
        redis_server.command("ACL", "DELUSER", "watcher")
    assert measured.rows[0]["used_bytes"]
    assert reached.rows[0]["up"] == 1.0
    assert session.facts.user == "watcher"
    assert before.get("errorstat_NOPERM") == after.get("errorstat_NOPERM"), "we filled the ACL log of the server"


def test_a_user_without_info_is_told_what_to_allow(redis_server: RedisServer) -> None:
    redis_server.command("ACL", "SETUSER", "blind", "reset", "on", "nopass", "+ping")
    check = bundled_check("redis_memory_pressure")
    try:
        session = ADAPTER.connect(target_of(redis_server.url(user="blind", password="x")), Deadline.after(20))
        with pytest.raises(Skipped) as caught:
            session.measure(check, Deadline.after(20))
        assert not session.closed
    finally:
        redis_server.command("ACL", "DELUSER", "blind")
    assert caught.value.reason is Reason.PRIVILEGE
    assert "INFO" in str(caught.value)
    assert ADAPTER.remedy(caught.value, check, session.facts) == "ACL SETUSER blind +info +ping"
    assert "info" not in session.facts.privileges
    session.close()


def test_a_renamed_info_is_not_an_error(fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0", config={"rename-command": 'INFO ""'})
    session = ADAPTER.connect(target_of(server.url()), Deadline.after(20))
    with pytest.raises(Skipped) as caught:
        session.measure(bundled_check("redis_hit_ratio"), Deadline.after(20))
    assert caught.value.reason is Reason.PLATFORM
    session.close()


@pytest.mark.parametrize("kind", REDIS_KINDS)
def test_a_unix_socket(kind: RedisKind, fresh_redis: FreshRedis, tmp_path: Path) -> None:
    path = Path(f"/tmp/dbwatch-{id(tmp_path)}.sock")
    try:
        fresh_redis(kind, config={"unixsocket": str(path), "unixsocketperm": "700"})
        session = ADAPTER.connect(target_of(f"unix://{path}"), Deadline.after(20))
        assert session.facts.address == str(path)
        session.close()
    finally:
        path.unlink(missing_ok=True)
    error = connect_error(f"unix://{path}")
    assert (error.reason, error.phase) == (Reason.REFUSED, "connect")


@pytest.fixture
def talker() -> Iterator[tuple[int, list[bytes]]]:
    """A port whose owner says the given bytes to whoever connects, and then nothing more."""
    said: list[bytes] = [b""]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peers: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                peers.append(peer)
                peer.sendall(said[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], said
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for peer in peers:
            peer.close()


def test_a_silent_peer_is_left_at_the_deadline(talker: tuple[int, list[bytes]]) -> None:
    started = time.monotonic()
    with pytest.raises(TargetError) as caught:
        ADAPTER.connect(target_of(f"redis://127.0.0.1:{talker[0]}/0"), Deadline.after(0.4))
    assert caught.value.reason is Reason.TIMEOUT
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason.ERROR),
        (b"-LOADING Redis is loading the dataset in memory\r\n", Reason.NOT_READY),
        (b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n", Reason.NOT_READY),
        (b"-BUSY Redis is busy running a script.\r\n", Reason.NOT_READY),
        (b"-DENIED Redis is running in protected mode because no password is set\r\n", Reason.AUTH),
        (b"-NOAUTH Authentication required.\r\n", Reason.AUTH),
        (b"-ERR max number of clients reached\r\n", Reason.TOO_MANY_CONNECTIONS),
    ],
)
def test_what_a_server_may_answer(talker: tuple[int, list[bytes]], answer: bytes, reason: Reason) -> None:
    talker[1][0] = answer
    row = ADAPTER.reach(target_of(f"redis://127.0.0.1:{talker[0]}/0"), Deadline.after(20)).rows[0]
    assert (row["up"], row["reason"]) == (0.0, str(reason))
    assert row["phase"] in ("ping", "auth")
    if reason not in (Reason.ERROR, Reason.NOT_READY):
        assert connect_error(f"redis://127.0.0.1:{talker[0]}/0").reason is reason


def test_refused_writes_are_not_an_unreachable_server(talker: tuple[int, list[bytes]]) -> None:
    talker[1][0] = b"-MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.\r\n"
    row = ADAPTER.reach(target_of(f"redis://127.0.0.1:{talker[0]}/0"), Deadline.after(20)).rows[0]
    assert row["up"] == 1.0
    assert "MISCONF" in str(row["message"])
