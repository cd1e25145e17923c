"""Owns reading when the server's certificates end, where INFO tells it (Valkey 9.1 and later). Pure."""

from __future__ import annotations

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import number
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from dbwatch.units import duration_text

_CERTIFICATES = {
    "server": "the certificate that clients are shown",
    "client": "the certificate that the server shows to others, as to its primary",
    "ca": "the certificate authority that clients and peers are checked against",
}


def certificates(info: Fields) -> tuple[RawRow, ...]:
    """A row a certificate in use; the serial tells one that has ended (0 seconds left) from one that is not there."""
    if "tls_server_cert_serial" not in info:
        raise Skipped(Reason.PLATFORM, "only Valkey 9.1 and later tells in INFO when its certificates end")
    rows = tuple(_row(info, name) for name in _CERTIFICATES if info.get(f"tls_{name}_cert_serial", "none") != "none")
    if not rows:
        raise Skipped(Reason.SETTING, "the server has no certificate: TLS is not set up")
    return rows


def _row(info: Fields, name: str) -> RawRow:
    left = number(info, f"tls_{name}_cert_expires_in_seconds")
    return {
        "certificate": name,
        "left_seconds": left,
        "serial": info.get(f"tls_{name}_cert_serial"),
        "told": f"{_CERTIFICATES[name]} {_end_text(left)}",
    }


def _end_text(left_seconds: float | None) -> str:
    if left_seconds is None:
        return "ends at a time that is not known"
    return f"ends in {duration_text(left_seconds)}" if left_seconds > 0 else "has ended"
