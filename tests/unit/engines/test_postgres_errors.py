"""libpq's texts as reasons: what the server says counts, not what hosts and roles are called."""

from __future__ import annotations

import pytest

from dbwatch.engines.libpq.errors import connect_reason
from dbwatch.model import Reason

_AT = 'connection to server at "{}" (10.0.0.1), port 5432 failed: '


@pytest.mark.parametrize(
    ("host", "text", "reason"),
    [
        ("db", 'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "a", database "b", SSL encryption', Reason.AUTH),
        ("db", 'FATAL:  pg_hba.conf rejects connection for host "10.0.0.2", user "a", SSL encryption', Reason.AUTH),
        ("ssl-db", 'FATAL:  password authentication failed for user "tls"', Reason.AUTH),
        ("password-store", "Connection refused\n\tIs the server running on that host?", Reason.REFUSED),
        ("db", 'FATAL:  database "certificates" does not exist', Reason.NO_DATABASE),
        ("db", 'FATAL:  role "ssl" does not exist', Reason.AUTH),
        ("db", "SSL error: certificate verify failed", Reason.TLS),
        ("db", 'root certificate file "/etc/database/ca.pem" does not exist', Reason.TLS),
        ("db", "could not create socket: Too many open files", Reason.RESOURCES),
        ("db", "FATAL:  le système se met en route", None),
    ],
)
def test_the_reason_of_a_failed_connection(host: str, text: str, reason: Reason | None) -> None:
    assert connect_reason(_AT.format(host) + text) is reason
