"""Owns how long a connection may do nothing. Knows no route.

uvicorn limits the pause between two requests and nothing else: a peer that never finishes its headers, or never reads
its answer, would stay for good. Here a request is due five seconds after the connection or the answer before it, and
an answer is read within thirty.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0


class TimedProtocol(H11Protocol):
    """HTTP/1.1 that gives up on a silent peer."""

    request_seconds = REQUEST_SECONDS
    answer_seconds = ANSWER_SECONDS

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._give(self.request_seconds)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._give(self.answer_seconds)

    def on_response_complete(self) -> None:
        # What is left to send, the peer must take; what it says next, it must say in time.
        pending = self.transport.get_write_buffer_size() > 0
        self._give(self.answer_seconds if pending else self.request_seconds)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _give(self, seconds: float) -> None:
        self._stop()
        self._patience = self.loop.call_later(seconds, self.transport.abort)

    def _stop(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
