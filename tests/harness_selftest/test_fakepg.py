"""psycopg hears from FakePg what a real server would have said."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from tests.harness.fakepg import FakePg


@pytest.mark.parametrize(
    ("sqlstate", "message"),
    [
        ("57P03", "the database system is starting up"),
        ("53300", "sorry, too many clients already"),
        ("28P01", 'password authentication failed for user "postgres"'),
        ("28P01", "Passwort-Authentifizierung für Benutzer »postgres« fehlgeschlagen"),
    ],
)
def test_any_refusal_of_a_startup(sqlstate: str, message: str) -> None:
    with FakePg(sqlstate, message) as fake:
        with pytest.raises(psycopg.OperationalError) as caught:
            psycopg.connect(fake.url(), connect_timeout=5)
        assert message in str(caught.value)
        assert fake.connections == 1


def test_the_sqlstate_is_on_the_wire_and_ping_says_reject() -> None:
    with FakePg("57P03", "starting up") as fake:
        assert b"C57P03\0" in fake.error_packet()
        # in a process of its own: libpq's ping holds the GIL, and FakePg is a thread of this one
        ask = "import sys, psycopg.pq as pq; print(pq.Ping(pq.PGconn.ping(sys.argv[1].encode())).name)"
        done = subprocess.run(
            [sys.executable, "-c", ask, fake.url()], stdout=subprocess.PIPE, text=True, timeout=20, check=True
        )
        assert done.stdout.strip() == "REJECT"


def test_bytes_of_another_encoding() -> None:
    text = "Zugriff für »x« verweigert".encode("latin-1")
    with FakePg("28000", text) as fake, pytest.raises(psycopg.OperationalError, match="verweigert"):
        psycopg.connect(fake.url(), connect_timeout=5)
