"""Owns decoding the server's texts and numerics. Another session's may hold any bytes or digits; it never raises."""

from __future__ import annotations

from psycopg.abc import Buffer
from psycopg.adapt import Loader

_UNKNOWN_OID = 705
TEXT_TYPES: tuple[str | int, ...] = ("text", "varchar", "name", "bpchar", '"char"', _UNKNOWN_OID)


class TolerantTextLoader(Loader):
    """UTF-8 with undecodable bytes shown as \\xNN (psycopg's own loader raises UnicodeDecodeError)."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode("utf-8", "backslashreplace")


class TolerantNumericLoader(Loader):
    """A float, infinite where it has too many digits (psycopg's own, compiled, raises ValueError)."""

    def load(self, data: Buffer) -> float:
        return float(bytes(data))
