"""TLS against a real server with a certificate authority made for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbwatch.deadline import Deadline
from dbwatch.engines.redis.asking import knock
from dbwatch.errors import TargetError
from dbwatch.model import Reason
from tests.conftest import FreshRedis
from tests.harness import ports
from tests.harness.redis import RedisServer
from tests.redis.aborting import ends_when_aborted
from tests.redis.authority import Authority
from tests.redis.targets import ADAPTER, bundled_check, target_of


@pytest.fixture
def tls_server(authority: Authority, fresh_redis: FreshRedis) -> tuple[RedisServer, int]:
    """A server and its TLS port; it also has a plain one, for the harness."""
    claim = ports.claim()
    config = {**authority.config, "tls-port": str(claim.number), "tls-auth-clients": "no"}
    return fresh_redis("redis-7.0", config=config), claim.number


@pytest.fixture
def tls_port(tls_server: tuple[RedisServer, int]) -> int:
    return tls_server[1]


def problem(url: str) -> TargetError:
    with pytest.raises(TargetError) as caught:
        ADAPTER.connect(target_of(url), Deadline.after(3))
    return caught.value


def test_the_chain_and_the_name_are_checked_by_default(tls_port: int, authority: Authority) -> None:
    session = ADAPTER.connect(
        target_of(f"rediss://localhost:{tls_port}/0?sslrootcert={authority.ca}"), Deadline.after(20)
    )
    assert session.facts.version[0] == 7
    session.close()
    stranger = problem(f"rediss://localhost:{tls_port}/0")
    assert (stranger.reason, stranger.phase) == (Reason.TLS, "tls")
    assert "not trusted" in str(stranger)
    misnamed = problem(f"rediss://127.0.0.1:{tls_port}/0?sslrootcert={authority.ca}")
    assert misnamed.reason is Reason.TLS
    assert "127.0.0.1" in str(misnamed)


@pytest.mark.parametrize("option", ["sslmode=require", "ssl_cert_reqs=none"])
def test_what_is_asked_to_be_trusted_is(tls_port: int, option: str) -> None:
    target = target_of(f"rediss://127.0.0.1:{tls_port}/0?{option}")
    assert ADAPTER.reach(target, Deadline.after(20)).rows[0]["up"] == 1.0
    ADAPTER.connect(target, Deadline.after(20)).close()


def test_verify_ca_checks_the_chain_but_not_the_name(tls_port: int, authority: Authority) -> None:
    options = f"sslmode=verify-ca&sslrootcert={authority.ca}"
    ADAPTER.connect(target_of(f"rediss://127.0.0.1:{tls_port}/0?{options}"), Deadline.after(20)).close()
    assert problem(f"rediss://127.0.0.1:{tls_port}/0?sslmode=verify-ca").reason is Reason.TLS


def test_the_wrong_kind_of_port(tls_port: int, fresh_redis: FreshRedis) -> None:
    plain = fresh_redis("redis-6.2")
    towards_plain = problem(f"rediss://localhost:{plain.port}/0")
    assert towards_plain.reason is Reason.TIMEOUT
    assert "does that port speak TLS" in str(towards_plain)
    towards_tls = problem(f"redis://localhost:{tls_port}/0")
    assert towards_tls.reason is Reason.CONNECTION_LOST
    assert "rediss://" in str(towards_tls)


def test_a_missing_or_broken_file_is_named(tls_port: int, tmp_path: Path) -> None:
    missing = problem(f"rediss://localhost:{tls_port}/0?sslrootcert=/nowhere/ca.crt")
    assert (missing.reason, missing.phase) == (Reason.TLS, "tls")
    assert "/nowhere/ca.crt" in str(missing)
    (tmp_path / "ca.crt").write_text("no certificate")
    broken = problem(f"rediss://localhost:{tls_port}/0?sslrootcert={tmp_path}/ca.crt")
    assert str(tmp_path) in str(broken)


def test_a_client_certificate(authority: Authority, fresh_redis: FreshRedis) -> None:
    claim = ports.claim()
    fresh_redis("redis-7.0", config={**authority.config, "tls-port": str(claim.number), "tls-auth-clients": "yes"})
    base = f"rediss://localhost:{claim.number}/0?sslrootcert={authority.ca}"
    assert problem(base).reason in (Reason.TLS, Reason.CONNECTION_LOST)
    shown = f"{base}&sslcert={authority.folder}/server.crt&sslkey={authority.folder}/server.key"
    ADAPTER.connect(target_of(shown), Deadline.after(20)).close()
    stranger = knock(target_of(shown), Deadline.after(20))
    assert stranger is not None, "the certificate was shown"
    assert stranger.reason is Reason.AUTH


def test_abort_ends_a_blocked_call_over_tls_too(tls_server: tuple[RedisServer, int]) -> None:
    server, port = tls_server
    session = ADAPTER.connect(target_of(f"rediss://localhost:{port}/0?sslmode=require"), Deadline.after(20))
    ends_when_aborted(session, server)


def test_an_idle_session_over_tls_stays_open(tls_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Session tickets arrive on an idle TLS 1.3 connection; they are no sign that it was closed."""
    monkeypatch.setattr("dbwatch.engines.redis.session._IDLE_SECONDS", 0.0)
    session = ADAPTER.connect(target_of(f"rediss://localhost:{tls_port}/0?sslmode=require"), Deadline.after(20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dbwatch.engines.redis.session.Opening", lambda *_: pytest.fail("opened anew"))
        for _ in range(3):
            assert session.measure(bundled_check("redis_persistence_failing"), Deadline.after(20)).rows
    session.close()
