"""Owns the first moments of every connection: counted in, TLS done by the settings of that moment, handed over to HTTP.

The handshake has a limit of its own, and a peer that never speaks costs a socket and nothing else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from dbwatch.web.peers import Peers
from dbwatch.web.timeouts import TimedProtocol

if TYPE_CHECKING:
    from dbwatch.web.tls import Tls

HANDSHAKE_SECONDS: Final = 5.0
# How long a peer may take to say goodbye.
_FAREWELL_SECONDS: Final = 1.0


class Door(asyncio.Protocol):
    """A peer, from accept to hand-over."""

    handshake_seconds = HANDSHAKE_SECONDS

    def __init__(self, peers: Peers, tls: Callable[[], Tls | None], inside: TimedProtocol) -> None:
        self._peers = peers
        self._tls = tls
        self._inside = inside
        self._raw: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._early = b""
        self._is_lost = False

    # -- a Peer ------------------------------------------------------------------------------------

    def abort(self) -> None:
        if self._raw is not None:
            self._raw.abort()

    def unread_bytes(self) -> int:
        return self._raw.get_write_buffer_size() if self._raw is not None else 0

    # -- a protocol --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        raw = self._raw = cast("asyncio.Transport", transport)
        self._inside.belongs_to(self, self._peers)
        self._peers.arrived(self)
        tls = self._tls()
        if tls is None:
            raw.set_protocol(self._inside)
            self._inside.connection_made(raw)
        else:
            raw.pause_reading()
            self._task = asyncio.get_running_loop().create_task(self._greet(raw, tls))

    def data_received(self, data: bytes) -> None:
        # Said between the end of the handshake and the hand-over.
        self._early += data

    def connection_lost(self, _: Exception | None) -> None:
        self._is_lost = True
        self._peers.left(self)

    async def _greet(self, raw: asyncio.Transport, tls: Tls) -> None:
        secured = None
        try:
            secured = await asyncio.get_running_loop().start_tls(
                raw,
                self,
                tls.context,
                server_side=True,
                ssl_handshake_timeout=self.handshake_seconds,
                ssl_shutdown_timeout=_FAREWELL_SECONDS,
            )
        except OSError:
            pass  # Not TLS, too slow, or without the certificate that is asked for: nothing to say to such a peer.
        finally:
            if secured is None:
                self._peers.left(self)
                raw.abort()
        if secured is None or self._is_lost:
            return
        spoken: ssl.SSLObject = secured.get_extra_info("ssl_object")
        if not tls.admits(spoken.getpeercert()):
            raw.abort()
            return
        secured.set_protocol(self._inside)
        self._inside.connection_made(secured)
        if self._early:
            self._inside.data_received(self._early)
