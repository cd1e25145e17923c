"""Sessions from other hosts, in plain text and encrypted. The other host is this machine by its network address."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator

import psycopg
import pytest

from dbwatch.engines.postgres.probes import transport
from dbwatch.model import Outcome, Status
from tests.harness.binaries import program
from tests.harness.cluster import give_to_server_user
from tests.harness.postgres import Postgres
from tests.postgres.watching import watching

_NOBODY = "192.0.2.1"
"""An address of the documentation (RFC 5737): the way to it tells our own address on the network."""


@pytest.fixture(scope="module")
def network_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_NOBODY, 9))
        except OSError:
            pytest.skip("this machine has no network")
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def server(network_address: str) -> Iterator[Postgres]:
    """Open to the network, offering TLS."""
    with Postgres(18, settings={"listen_addresses": "*"}) as pg:
        pg.hba("host all all 127.0.0.1/32 trust", f"host all all {network_address}/32 trust")
        _certify(pg)
        pg.sql("create role app login")
        pg.sql('create role "we""ird" login')
        yield pg


def _certify(pg: Postgres) -> None:
    """Give the server a key and a certificate of its own, and let it offer TLS."""
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    argv = [str(program("openssl")), *request, "-keyout", "server.key", "-out", "server.crt"]
    subprocess.run(argv, cwd=pg.data, check=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
    (pg.data / "server.key").chmod(0o600)
    give_to_server_user(pg.data)
    pg.configure(ssl="on")


def _session(server: Postgres, address: str, user: str, sslmode: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=address, port=server.port, user=user, dbname="postgres", sslmode=sslmode, application_name="shop"
    )


def _look(server: Postgres, check: str = "session_without_tls") -> Outcome:
    with watching(check) as watch:
        watch.add("a", server)
        return watch.look("a")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address is this machine's own, as for a monitor beside a server whose clients are other machines."""
    monkeypatch.setattr(transport, "is_our_address", lambda _: False)


@pytest.mark.usefixtures("elsewhere")
def test_plain_text_from_another_host_is_found(server: Postgres, network_address: str) -> None:
    with (
        _session(server, network_address, "app", "disable"),
        _session(server, network_address, "app", "require"),
        _session(server, network_address, 'we"ird', "require"),
        _session(server, "127.0.0.1", 'we"ird', "disable"),
    ):
        outcome = _look(server)
    assert outcome.status is Status.WARNING
    assert [(finding.key, finding.message) for finding in outcome.findings] == [
        ("postgres.app", "1 of 2 sessions of app from other hosts are not encrypted (database postgres)")
    ]
    rows = {row.key: row.values for row in outcome.rows}
    assert (rows['postgres.we"ird']["plain_sessions"], rows['postgres.we"ird']["remote_sessions"]) == (0, 1)
    assert not any(network_address in str(row.labels) for row in outcome.rows)


@pytest.mark.usefixtures("elsewhere")
def test_a_server_that_offers_tls_has_a_sound_listener(server: Postgres) -> None:
    outcome = _look(server, "listener_without_tls")
    assert outcome.status is Status.OK
    assert outcome.rows[0].values["open_addresses"] == 1


@pytest.mark.usefixtures("elsewhere")
def test_without_tls_the_listener_is_found_and_not_every_session(server: Postgres, network_address: str) -> None:
    server.configure(ssl="off")
    try:
        with _session(server, network_address, "app", "prefer"):
            assert _look(server).status is Status.OK
            outcome = _look(server, "listener_without_tls")
        assert outcome.status is Status.WARNING
        assert outcome.findings[0].message.endswith("sessions from other hosts now, all in plain text: 1")
    finally:
        server.configure(ssl="on")


def test_the_servers_own_machine_is_no_other_host(server: Postgres, network_address: str) -> None:
    with _session(server, network_address, "app", "disable"):
        outcome = _look(server)
    assert outcome.status is Status.OK
    rows = {row.key: row.values for row in outcome.rows}
    assert (rows["postgres.app"]["plain_sessions"], rows["postgres.app"]["remote_sessions"]) == (0, 0)


def test_which_addresses_are_ours(network_address: str) -> None:
    assert transport.is_our_address(network_address)
    assert transport.is_our_address("127.0.0.1")
    assert not transport.is_our_address("198.51.100.7")
    assert not transport.is_our_address("2001:db8::7")
    assert not transport.is_our_address("no address")


def test_old_versions_of_tls_are_a_weak_setting_where_tls_is_offered(server: Postgres) -> None:
    server.configure(ssl_min_protocol_version="TLSv1.1")
    try:
        outcome = _look(server, "weak_security_setting")
        assert [finding.key for finding in outcome.findings] == ["ssl_min_protocol_version"]
        assert outcome.findings[0].message == (
            "ssl_min_protocol_version is TLSv1.1: clients may use versions of TLS that are broken"
        )
    finally:
        server.configure(ssl_min_protocol_version="TLSv1.2")
    assert _look(server, "weak_security_setting").status is Status.OK
