"""Owns asking a server for the SQLSTATE with which it turns a connection away. Knows no credentials.

libpq hides that SQLSTATE, and its text may be in any language. `PQping` would tell "not ready" from "rejected", but
psycopg's wrapper holds the interpreter lock while it connects (measured: every other thread stood still for 2 s). So
one startup packet goes out by hand; what the server turns away before it asks for a password, it names here.
Message formats: PostgreSQL manual, "Frontend/Backend Protocol".
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

from dbwatch.deadline import Deadline
from dbwatch.model import Reason

_PROTOCOL_3_0 = 196_608
_LONGEST_ANSWER = 64 * 1024
_REASONS = {
    "57P03": Reason.NOT_READY,
    "53300": Reason.TOO_MANY_CONNECTIONS,
    "53200": Reason.RESOURCES,
    "3D000": Reason.NO_DATABASE,
    "28P01": Reason.AUTH,
    "28000": Reason.AUTH,
}


def rejection(host: str, port: int, user: str, database: str, deadline: Deadline) -> Reason | None:
    """Why the server turns a new connection away, by SQLSTATE; None when it does not, or cannot be asked."""
    parameters = b"".join(
        name.encode() + b"\0" + value.encode() + b"\0"
        for name, value in (("user", user or "dbwatch"), ("database", database or user or "dbwatch"))
    )
    body = struct.pack("!i", _PROTOCOL_3_0) + parameters + b"\0"
    try:
        limit = Deadline.after(max(0.1, deadline.remaining))
        with _connected(host, port, limit.remaining) as peer:
            peer.sendall(struct.pack("!i", len(body) + 4) + body)
            kind, answer = _message(peer, limit)
    except (OSError, struct.error, ValueError):
        return None
    if kind != b"E":
        return None
    fields = {part[:1]: part[1:].decode("ascii", "replace") for part in answer.split(b"\0") if part}
    return _REASONS.get(fields.get(b"C", ""))


@contextlib.contextmanager
def _connected(host: str, port: int, timeout: float) -> Iterator[socket.socket]:
    if host.startswith("/"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(timeout)
            peer.connect(f"{host}/.s.PGSQL.{port}")
            yield peer
    else:
        with socket.create_connection((host, port), timeout) as peer:
            yield peer


def _message(peer: socket.socket, limit: Deadline) -> tuple[bytes, bytes]:
    header = _exactly(peer, 5, limit)
    (length,) = struct.unpack("!i", header[1:])
    if not 4 <= length <= _LONGEST_ANSWER:
        raise ValueError("not a PostgreSQL message")
    return header[:1], _exactly(peer, length - 4, limit)


def _exactly(peer: socket.socket, size: int, limit: Deadline) -> bytes:
    data = b""
    while len(data) < size:
        if limit.passed:
            raise ValueError("the server sends too slowly")
        peer.settimeout(limit.remaining or 0.001)
        piece = peer.recv(size - len(data))
        if not piece:
            raise ValueError("the server closed the connection")
        data += piece
    return data
