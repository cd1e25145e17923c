"""Owns what is refused before anybody looks at who asks: odd requests, and more of them than the rate limit takes.

Our paths are plain words, our requests have no body, and a host is a name or an address: whatever else is meant for
somebody else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dbwatch.web.asked import Rate, Settings

LARGEST_HEADERS: Final = 16 * 1024
"""Bytes of a request line and its headers."""

_PATH: Final = re.compile(rb"/[A-Za-z0-9/._~-]*\Z")
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?\Z")


def refusal(scope: Scope) -> tuple[int, str] | None:
    """Status and words for a request that is not one of ours, whatever it asks for."""
    path: bytes = scope["raw_path"]
    # The server's own limit is on what it still waits for: what comes whole in one piece may be larger.
    size = len(path) + len(scope["query_string"]) + sum(len(name) + len(value) for name, value in scope["headers"])
    if size > LARGEST_HEADERS:
        return 431, "the request is larger than any of ours"
    if not path.startswith(b"/"):
        return 400, "ask for a path of this server"
    if not _PATH.match(path):
        return 400, "no path here has such characters"
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) > 1 or not all(map(_HOST.match, hosts)):
        return 400, "the Host header is not a host"
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")):
            return 413, "a request here has no body"
    return None


class Bucket:
    """A token bucket. Belongs to one event loop."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._tokens = float(rate.burst)
        self._at = clock()

    def take(self) -> bool:
        """Whether one more request may come in now."""
        now = self._clock()
        self._tokens = min(self.rate.burst, self._tokens + (now - self._at) / self.rate.interval_seconds)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Refusals:
    """Answers what is refused; passes the rest on."""

    def __init__(self, app: ASGIApp, current: Callable[[], Settings]) -> None:
        self._app = app
        self._current = current
        self._bucket: Bucket | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = (429, "too many requests") if self._is_too_fast() else refusal(scope)
        if refused is None:
            await self._app(scope, receive, send)
            return
        status, words = refused
        headers = {"retry-after": "1"} if status == 429 else {"connection": "close"}
        await PlainTextResponse(f"{words}\n", status_code=status, headers=headers)(scope, receive, send)

    def _is_too_fast(self) -> bool:
        rate = self._current().rate
        if rate is None:
            self._bucket = None
            return False
        if self._bucket is None or self._bucket.rate != rate:
            self._bucket = Bucket(rate)
        return not self._bucket.take()
