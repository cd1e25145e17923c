"""Owns the listening socket and the thread that serves it. Knows no route; leaves signals and logging to others.

Every application it serves stands behind the same protection: headers, refusals, authentication, in this order.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import socket
import threading
import time
from typing import Any, Final, cast

import structlog
from anyio.to_thread import current_default_thread_limiter
from starlette.types import ASGIApp
from uvicorn import Config, Server

from dbwatch.errors import ConfigError, DbwatchError
from dbwatch.web.auth import BasicAuth, Judge
from dbwatch.web.door import Door
from dbwatch.web.headers import SecurityHeaders
from dbwatch.web.peers import Peers
from dbwatch.web.protection import Protection
from dbwatch.web.refusals import LARGEST_HEADERS, Refusals
from dbwatch.web.timeouts import TimedProtocol

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

WORKERS: Final = 8
KEEP_ALIVE_SECONDS: Final = 5
_START_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 1
_DATE_SECONDS: Final = 1.0
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_SAID_AGAIN_SECONDS: Final = 600.0


class WebServer:
    """Listens from `start()` to `stop()`. Port 0 takes any free port; `address` says which."""

    def __init__(self, app: ASGIApp, host: str, port: int, protection: Protection | None = None) -> None:
        self._host = host
        self._port = port
        self._protection = protection or Protection()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._peers = Peers()
        self._judge = Judge()
        self._server = _Server(
            Config(
                self._protected(app),
                loop="asyncio",
                # uvicorn makes one for every connection; that it is a function and no class makes no difference.
                http=cast("type[asyncio.Protocol]", self._door),
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                # Anybody can send nonsense; a warning for each would let them fill the log.
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                h11_max_incomplete_event_size=LARGEST_HEADERS,
            ),
            self._peers,
        )

    @property
    def address(self) -> str:
        """`host:port` as it is listened on; the configured one before `start()`."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def host(self) -> str:
        return self._host

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen and serve in a thread. Raises ConfigError when the address cannot be listened on."""
        listening = self._socket = self._listen()
        self._host, self._port = listening.getsockname()[:2]
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="dbwatch-web", daemon=True
        )
        self._thread.start()
        until = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > until:
                self.stop()
                raise DbwatchError(f"the web server on {self.address} did not start; the log says why")
            time.sleep(0.005)
        self._protection.start()

    def stop(self) -> None:
        """End every connection and the thread; may be called twice."""
        self._protection.stop()
        self._server.end()
        if self._thread is not None:
            self._thread.join(_GRACE_SECONDS + 2.0)
        self._judge.close()
        if self._socket is not None and not self.running:
            self._socket.close()

    def _protected(self, app: ASGIApp) -> ASGIApp:
        protection = self._protection
        known = BasicAuth(app, lambda: protection.current.users, self._judge)
        orderly = Refusals(known, lambda: protection.current)
        return SecurityHeaders(orderly, lambda: protection.current.headers)

    def _door(self, **arguments: Any) -> asyncio.Protocol:
        return Door(self._peers, lambda: self._protection.current.tls, TimedProtocol(**arguments))

    def _listen(self) -> socket.socket:
        try:
            family, _, _, _, address = socket.getaddrinfo(
                self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            both = family is socket.AF_INET6 and self._host in ("", "::")
            listening = socket.create_server(address[:2], family=family, backlog=128, dualstack_ipv6=both)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ConfigError.of(
                "--web.listen-address",
                f"{self.address} cannot be listened on: {reason}",
                hint="another process may have it; choose another address or port",
            ) from None
        # Inherited by every connection. asyncio leaves it out here, and each answer on a connection that is kept
        # would wait 40 ms for the peer's delayed acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening


class _Server(Server):
    """uvicorn's, with a limit to the threads that answer, and an end for those who have not come in yet."""

    def __init__(self, config: Config, peers: Peers) -> None:
        super().__init__(config)
        self._peers = peers
        self._short_since = -math.inf
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()

    def end(self) -> None:
        """Stop serving; called from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """uvicorn's looks ten times a second whether it should end; this one is told, and keeps the date of answers."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), _DATE_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._trouble)
        current_default_thread_limiter().total_tokens = WORKERS
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self._peers.end_all()

    def _trouble(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """asyncio tells of a connection that it cannot take once a second, with a traceback."""
        error, now = context.get("exception"), time.monotonic()
        if not isinstance(error, OSError) or error.errno not in _SHORTAGES:
            loop.default_exception_handler(context)
        elif now - self._short_since > _SAID_AGAIN_SECONDS:
            self._short_since = now
            log.error("no connection can be taken", error=error.strerror)
