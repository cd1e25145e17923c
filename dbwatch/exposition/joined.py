"""Owns the bytes of a joined page: sent plain or compressed, followed by the little that changes at every scrape."""

from __future__ import annotations

import zlib
from typing import Final

# A higher level saves a sixth of the bytes and costs twice the time, at every scrape.
_GZIP_LEVEL: Final = 1
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_SIZES: Final = 2**32


class Joined:
    """The slow part of a page. `made_of` is what it was joined from; it is stale from `valid_until` on."""

    def __init__(self, made_of: tuple[object, ...], valid_until: float, body: bytes) -> None:
        self.made_of = made_of
        self.valid_until = valid_until
        self._body = body
        self._compressed = b""
        self._checksum = 0

    def followed_by(self, tail: bytes) -> bytes:
        return self._body + tail

    def gzip_followed_by(self, tail: bytes) -> bytes:
        """One gzip member; the body is compressed at the first call only. One thread at a time."""
        if not self._compressed:
            # Flushed to a whole byte, so that the tail's own stream can follow: no compressor, 256 KiB, is kept for it.
            self._compressed = _GZIP_HEAD + _deflated(self._body, zlib.Z_SYNC_FLUSH)
            self._checksum = zlib.crc32(self._body)
        checksum = zlib.crc32(tail, self._checksum)
        size = (len(self._body) + len(tail)) % _SIZES
        ends = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
        # Two members in a row would be shorter to write, and are read to the end of the first by many.
        return self._compressed + _deflated(tail, zlib.Z_FINISH) + ends


def _deflated(data: bytes, ending: int) -> bytes:
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush(ending)
