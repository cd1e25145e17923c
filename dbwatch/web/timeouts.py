"""Owns how long a connection may do nothing, and what is said to one that talks nonsense. Knows no route.

uvicorn limits the pause between two requests and nothing else: a peer that never finishes its headers, or never reads
its answer, would stay for good. Here a request is due five seconds after the connection or the answer before it, and
an answer is read within thirty.
"""

from __future__ import annotations

import asyncio
import http
import sys
from typing import Final

from h11 import RemoteProtocolError
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from dbwatch.web.headers import ALWAYS
from dbwatch.web.peers import Peer, Peers

REQUEST_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0


class TimedProtocol(H11Protocol):
    """HTTP/1.1 that gives up on a silent peer."""

    request_seconds = REQUEST_SECONDS
    answer_seconds = ANSWER_SECONDS

    _patience: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None
    _peer: Peer | None = None
    _peers: Peers | None = None

    def belongs_to(self, peer: Peer, peers: Peers) -> None:
        """Whom to ask how much is unread, and whom to tell what happens."""
        self._peer, self._peers = peer, peers

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._give(self.request_seconds)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and self.cycle is not self._answering and not self.cycle.response_complete:
            self._answering = self.cycle
            self._give(self.answer_seconds)
            if self._peers is not None and self._peer is not None:
                self._peers.asked(self._peer)

    def on_response_complete(self) -> None:
        # What is left to send, the peer must take; what it says next, it must say in time.
        self._give(self.answer_seconds if self._unread_bytes() else self.request_seconds)
        if self._peers is not None and self._peer is not None:
            self._peers.answered(self._peer)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        if self._peers is not None and self._peer is not None:
            self._peers.left(self._peer)
        super().connection_lost(exc)

    def send_400_response(self, _: str) -> None:
        """Refuse what is not HTTP, or too much of it. Called by uvicorn while it handles h11's error."""
        if self.cycle is not None and not self.cycle.response_complete:
            # Half of a request is being answered; two answers to it would be nonsense of ours.
            self.transport.abort()
            return
        cause = sys.exception()
        status = http.HTTPStatus(cause.error_status_hint if isinstance(cause, RemoteProtocolError) else 400)
        body = f"{status.phrase.lower()}\n".encode()
        headers = {
            **ALWAYS,
            "content-type": "text/plain; charset=utf-8",
            "content-length": len(body),
            "connection": "close",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.transport.write(f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + body)
        self.transport.close()

    def _unread_bytes(self) -> int:
        # Under TLS the transport has handed everything on; what counts lies in the socket's own.
        return max(self.transport.get_write_buffer_size(), self._peer.unread_bytes() if self._peer is not None else 0)

    def _give(self, seconds: float) -> None:
        self._stop()
        self._patience = self.loop.call_later(seconds, self.transport.abort)

    def _stop(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
