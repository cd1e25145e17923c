"""Owns the bytes of a joined page: sent plain or compressed, followed by the little that changes at every scrape."""

from __future__ import annotations

import zlib
from typing import Final

_GZIP_LEVEL: Final = 5
_GZIP_WRAPPED: Final = zlib.MAX_WBITS | 16


class Joined:
    """The slow part of a page. `made_of` is what it was joined from; it is stale from `valid_until` on."""

    def __init__(self, made_of: tuple[object, ...], valid_until: float, body: bytes) -> None:
        self.made_of = made_of
        self.valid_until = valid_until
        self._body = body
        self._compressed = b""
        self._compressor: zlib._Compress | None = None

    def followed_by(self, tail: bytes) -> bytes:
        return self._body + tail

    def gzip_followed_by(self, tail: bytes) -> bytes:
        """One gzip member; the body is compressed at the first call only. One thread at a time."""
        if self._compressor is None:
            self._compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WRAPPED)
            self._compressed = self._compressor.compress(self._body)
        # A copy carries window and checksum on: two members in a row would be read to the end of the first by many.
        rest = self._compressor.copy()
        return self._compressed + rest.compress(tail) + rest.flush()
