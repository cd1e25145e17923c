"""The way to a server and what befalls it: names, slots, passwords, certificates, other servers, an hour of silence."""

from __future__ import annotations

import itertools
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dbwatch import backoff, lanes
from dbwatch.config import Target
from dbwatch.config.password import PasswordSource
from dbwatch.deadline import Deadline
from dbwatch.engines.base import Session
from dbwatch.engines.postgres.adapter import PostgresAdapter
from dbwatch.model import Engine, Reason, Role, Status
from dbwatch.schedule import HashedInterval, hashed_offset
from tests.conftest import FreshPostgres
from tests.faults.authority import Authority
from tests.faults.bench import Bench, bench, bundled, own_check, target_of
from tests.harness import ports
from tests.harness.certificates import self_signed
from tests.harness.cluster import give_to_server_user
from tests.harness.fakepg import FakePg
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.waiting import eventually

PASSWORD, OTHER = "Zqk7wvXj4mRt", "8PYbLdh2uKcG"


@pytest.fixture
def url(newest_pg: Postgres) -> str:
    return newest_pg.create_monitor_role()


@pytest.fixture
def now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused attempt is repeated after a tenth of a second, not after half a minute."""
    monkeypatch.setattr(backoff, "_CROWDED_BACKOFF", 0.1)
    monkeypatch.setattr(backoff, "_FIRST_BACKOFF", 0.1)
    monkeypatch.setattr(backoff, "_LAST_BACKOFF", 0.1)


def attempts(server: Postgres, mark: int, user: str) -> int:
    """How many connections of a role the server turned away since the mark."""
    return sum(f" {user}@" in line and "FATAL" in line for line in server.log_lines_since(mark))


# -- a port that says nothing ----------------------------------------------------------------------


def test_row_05_an_attempt_lasts_until_the_connect_limit(
    url: str, newest_pg: Postgres, proxy_to: Callable[[int], Proxy]
) -> None:
    proxy = proxy_to(newest_pg.port)
    proxy.deaf()
    started = time.monotonic()
    target = replace(target_of(proxy.url(url)), connect_timeout=1.0)
    (row,) = PostgresAdapter().reach(target, Deadline.after(30)).rows
    assert (row["up"], row["reason"]) == (False, "timeout")
    assert 1 <= time.monotonic() - started < 10


# -- names -----------------------------------------------------------------------------------------


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str | None], None]]:
    """`resolver("127.0.0.2")` is what the name `db.test` means from now on; None: its name server is dead."""
    thaw, answer = threading.Event(), ["127.0.0.1"]
    real = socket.getaddrinfo

    def looked_up(host: str, port: int, **options: Any) -> object:
        if host != "db.test":
            return real(host, port, **options)
        if not answer:
            assert thaw.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer[0], port))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)

    def means(address: str | None) -> None:
        answer[:] = [address] if address else []
        if address:
            thaw.set()

    yield means
    thaw.set()


def named(server: Postgres, *, connect_timeout: float = 5.0) -> Target:
    return Target(
        name="orders",
        engine=Engine.POSTGRES,
        host="db.test",
        port=server.port,
        user="dbwatch",
        database="postgres",
        connect_timeout=connect_timeout,
    )


@pytest.mark.usefixtures("url", "now_and_then")
def test_row_11_a_dead_name_server_costs_one_deadline(
    newest_pg: Postgres, tmp_path: Path, resolver: Callable[[str | None], None]
) -> None:
    resolver(None)
    with bench(named(newest_pg, connect_timeout=0.2), [own_check(tmp_path, "mail")]) as site:
        started = time.monotonic()
        outcome = site.look("mail")
        assert (outcome.status, outcome.reason, outcome.step) == (Status.UNKNOWN, Reason.DNS, "resolve")
        assert time.monotonic() - started < 5, "no longer than the connect limit allows"
        resolver("127.0.0.1")
        eventually(lambda: site.look("mail").answered, every=0.1, what="the lane lives")


@pytest.fixture
def moved(newest_pg: Postgres, url: str) -> Iterator[Postgres]:
    """A server on the port of `newest_pg` at another address of this machine, in recovery for ever."""
    del url
    with Postgres(newest_pg.major, name="moved") as server:
        server.create_monitor_role()
        server.stop()
        (server.data / "standby.signal").touch()
        server.host, server.port = "127.0.0.2", newest_pg.port
        server.settings["listen_addresses"] = server.host
        server.start()
        yield server


def test_row_12_a_name_that_moves_is_followed_when_the_session_is_old(
    newest_pg: Postgres,
    moved: Postgres,
    resolver: Callable[[str | None], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with bench(named(newest_pg), [own_check(tmp_path, "mail")]) as site:
        site.look("mail")
        assert told_role(site) == Role.PRIMARY
        resolver(moved.host)
        site.look("mail")
        assert told_role(site) == Role.PRIMARY, "a session that works is kept"
        monkeypatch.setattr(lanes, "SESSION_AGE_SECONDS", -1.0)
        assert site.look("mail").answered
        assert told_role(site) == Role.STANDBY


def told_role(site: Bench) -> str:
    """The only role that the page tells."""
    lines = [line for line in site.page().splitlines() if line.startswith("dbwatch_target_info{")]
    (role,) = {line.partition('role="')[2].partition('"')[0] for line in lines}
    return role


# -- slots and passwords ---------------------------------------------------------------------------


def test_row_14_the_limit_of_our_role(newest_pg: Postgres, tmp_path: Path) -> None:
    newest_pg.create_monitor_role("lonely")
    newest_pg.sql("ALTER ROLE lonely CONNECTION LIMIT 1")
    checks = [own_check(tmp_path, "mail"), *(c for c in bundled(newest_pg.url()) if c.probe == "connect")]
    target = target_of(newest_pg.url("lonely"))
    with bench(target, checks) as site:
        with newest_pg.connect("lonely"):
            mark = newest_pg.log_mark()
            for _ in range(20):
                assert site.look("mail").reason is Reason.TOO_MANY_CONNECTIONS
                assert site.look("server_unreachable").status is Status.CRITICAL
            assert attempts(newest_pg, mark, "lonely") <= 2
        assert len(site.events("target down")) == 1
    with bench(target, checks) as site:
        assert site.look("mail").answered
        for _ in range(20):
            assert site.look("server_unreachable").findings[0].details["reason"] == "too_many_connections"
            assert site.look("mail").answered, "our own session takes the only slot, and it goes on"
        assert attempts(newest_pg, mark, "lonely") <= 3


@pytest.mark.usefixtures("now_and_then")
def test_row_15_a_wrong_password_and_then_the_right_one(fresh_postgres: FreshPostgres, tmp_path: Path) -> None:
    server = fresh_postgres(18)
    server.create_monitor_role(password=PASSWORD)
    server.hba("host all all 127.0.0.1/32 scram-sha-256")
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    target = Target(
        name="shop",
        engine=Engine.POSTGRES,
        host=server.host,
        port=server.port,
        user="dbwatch",
        database="postgres",
        password=PasswordSource(file=secret),
    )
    with bench(target, [own_check(tmp_path, "mail")]) as site:
        assert site.look("mail").answered
        server.create_monitor_role(password=OTHER)
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dbwatch'")
        eventually(lambda: site.look("mail").reason is Reason.AUTH, every=0.1, what="the old password is refused")
        assert site.state.up is False
        secret.write_text(f"{OTHER}\n")
        eventually(lambda: site.look("mail").answered, every=0.1, what="the new password is read")
        assert site.events("target down")[-1]["reason"] == "auth", "also after a connection that was lost"
        shown = site.log.getvalue() + site.page() + repr(site.store.views())
        for password in (PASSWORD, OTHER):
            assert not [piece for piece in pieces(password) if piece in shown]


def pieces(password: str) -> list[str]:
    return [password[at : at + 4] for at in range(len(password) - 3)]


# -- certificates ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("now_and_then")
def test_row_16_a_certificate_that_proves_nothing(fresh_postgres: FreshPostgres, tmp_path: Path) -> None:
    server = fresh_postgres(18)
    url = server.create_monitor_role()
    authority = Authority(tmp_path)

    def serve(pair: tuple[str | Path, str | Path]) -> None:
        for source, place in zip(pair, ("server.crt", "server.key"), strict=True):
            (server.data / place).write_bytes(Path(source).read_bytes())
        (server.data / "server.key").chmod(0o600)
        give_to_server_user(server.data)
        server.configure(ssl="on", log_connections="on")

    expired = self_signed(tmp_path, "expired", days=-1)
    trusted = tmp_path / "trusted.crt"
    trusted.write_text(Path(authority.ca).read_text() + expired[0].read_text())
    mark = server.log_mark()
    target = target_of(f"{url}?sslmode=verify-full&sslrootcert={trusted}")
    with bench(target, [own_check(tmp_path, "mail")]) as site:
        elsewhere = authority.issue("elsewhere", "DNS:db.example.org,IP:192.0.2.7")
        for pair, words in ((elsewhere, "does not match host name"), (expired, "certificate verify failed")):
            serve(pair)
            assert not site.lane.connect()
            outcome = site.look("mail")
            assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.TLS), outcome
            assert words in outcome.summary
        assert not [line for line in server.log_lines_since(mark) if "connection authorized: user=dbwatch" in line]
        serve(authority.issue("right"))
        eventually(lambda: site.look("mail").answered, every=0.1, what="a sound certificate is taken")
    authorized = [line for line in server.log_lines_since(mark) if "connection authorized: user=dbwatch" in line]
    assert authorized
    assert not [line for line in authorized if "SSL enabled" not in line]


# -- an hour without the server --------------------------------------------------------------------


class Counting(PostgresAdapter):
    """Notes when somebody tried to connect, by the lane's clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self.attempts: list[float] = []
        self.probes: list[float] = []

    def connect(self, target: Target, deadline: Deadline) -> Session:  # type: ignore[override]  # the seam is enough
        self.attempts.append(self._clock())
        return super().connect(target, deadline)

    def reach(self, target: Target, deadline: Deadline):  # type: ignore[no-untyped-def]  # as the one above
        self.probes.append(self._clock())
        return super().reach(target, deadline)


def test_row_49_an_hour_without_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """All bundled checks on their own schedule, at a port where nobody listens; the clock is ours."""
    now = [10_000.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=time.time)
    monkeypatch.setattr(lanes, "time", clock)
    monkeypatch.setattr(backoff.Backoff.__init__, "__defaults__", (clock.monotonic,))
    claim = ports.claim()
    url = f"postgresql://dbwatch@127.0.0.1:{claim.number}/postgres"
    checks = bundled(url)
    assert len(checks) > 80
    adapter = Counting(clock.monotonic)
    due = {
        check.name: HashedInterval(check.every, hashed_offset("postgres", check.name, check.every)) for check in checks
    }
    runs = sorted(
        (at, name)
        for name, trigger in due.items()
        for at in (
            now[0],
            *(trigger.offset + n * trigger.interval for n in range(math.ceil(now[0] / trigger.interval), 100_000)),
        )
        if now[0] <= at < now[0] + 3600
    )
    assert len(runs) > 4000
    with bench(target_of(url), checks, adapter=adapter) as site:
        for at, name in runs:
            now[0] = at
            outcome = site.look(name)
            assert outcome.status is (Status.CRITICAL if name == "server_unreachable" else Status.UNKNOWN)
        assert len(site.events()) <= 20
    claim.release()
    # 1 + 2 + 4 … seconds and then once a minute: those that are due a little early by the jitter are 4 in 5 of it.
    for tries in (adapter.attempts, adapter.probes):
        pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
        least = [0.8 * min(60.0, 2.0**step) for step in range(len(pauses))]
        assert all(pause >= wanted for pause, wanted in zip(pauses, least, strict=True)), pauses[:10]
        assert len(tries) <= 6 + 3600 / 48


# -- another server ----------------------------------------------------------------------------------


def test_found_what_answers_is_not_postgresql(tmp_path: Path) -> None:
    """The address leads to a thing that speaks the protocol and knows none of our questions. The target is down with a
    reason, without a traceback."""
    with (
        FakePg("08P01", "no such thing here") as fake,
        bench(target_of(fake.url()), [own_check(tmp_path, "mail")]) as site,
    ):
        outcome = site.look("mail")
        assert outcome.status is Status.UNKNOWN
        assert outcome.reason is not None
        assert not [event for event in site.events() if "exception" in event]
