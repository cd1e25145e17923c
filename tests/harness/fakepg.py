"""A TCP server that answers a PostgreSQL startup packet with any error: what a real server says once in a blue moon."""

from __future__ import annotations

import socket
import struct

from tests.harness import ports
from tests.harness.beside import Beside

SSL_REQUEST = 80877103
GSS_REQUEST = 80877104
CANCEL_REQUEST = 80877102


class FakePg(Beside):
    """`with FakePg("57P03", "the database system is starting up") as fake:` and connect to `fake.url()`.

    The fields may be changed while it runs. `message` may be bytes, as a server with another encoding or
    language sends them. SSL is declined. `connections` counts the startup packets seen.
    """

    def __init__(self, sqlstate: str, message: str | bytes, *, severity: str = "FATAL") -> None:
        super().__init__("fakepg")
        self.sqlstate = sqlstate
        self.message = message
        self.severity = severity
        self.connections = 0
        self._claim = ports.claim()
        self.port = self._claim.number
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._listener.settimeout(0.1)

    def url(self, user: str = "postgres", dbname: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{dbname}"

    def close(self) -> None:
        super().close()
        self._listener.close()
        self._claim.release()

    def work(self) -> None:
        while not self.ending.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(2)
                try:
                    self._answer(client)
                except OSError:
                    continue  # the client went first

    def _answer(self, client: socket.socket) -> None:
        while True:
            length, code = struct.unpack("!ii", _exactly(client, 8))
            _exactly(client, max(0, length - 8))
            if code in (SSL_REQUEST, GSS_REQUEST):
                client.sendall(b"N")
            elif code == CANCEL_REQUEST:
                return
            else:
                self.connections += 1
                client.sendall(self.error_packet())
                return

    def error_packet(self) -> bytes:
        """The ErrorResponse as it goes over the wire."""
        text = self.message if isinstance(self.message, bytes) else self.message.encode()
        severity = self.severity.encode()
        fields = ((b"S", severity), (b"V", b"FATAL"), (b"C", self.sqlstate.encode()), (b"M", text))
        body = b"".join(kind + value + b"\0" for kind, value in fields) + b"\0"
        return b"E" + struct.pack("!i", len(body) + 4) + body


def _exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            raise ConnectionError("the client has gone")
        data += piece
    return data
