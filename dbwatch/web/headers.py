"""Owns the headers that keep a browser from doing anything with our answers but showing them. Knows no route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOCKED: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_HSTS: Final = "strict-transport-security"
ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": _LOCKED,
}


def content_security_policy(style_hash: str = "") -> str:
    """Nothing may load or run; with a hash, one inline style may apply."""
    return f"{_LOCKED}; style-src '{style_hash}'" if style_hash else _LOCKED


class SecurityHeaders:
    """Adds to every answer what it does not say itself; what the operator configured replaces ours."""

    def __init__(self, app: ASGIApp, configured: Callable[[], Mapping[str, str]] = dict) -> None:
        self._app = app
        self._configured = configured

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_secure = scope.get("scheme") == "https"

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                for name, value in self._configured().items():
                    if is_secure or name != _HSTS:
                        headers[name] = value
            await send(message)

        await self._app(scope, receive, guarded)
