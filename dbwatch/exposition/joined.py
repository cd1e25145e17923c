"""Owns the bytes of a joined page: sent plain or compressed, followed by the little that changes at every scrape."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

# A higher level saves a sixth of the bytes and costs twice the time, at every scrape.
_GZIP_LEVEL: Final = 1
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_SIZES: Final = 2**32
_LARGE_BYTES: Final = 8 * 1024


class Joined:
    """The slow part of a page, as the pieces it is joined from; nothing is copied before somebody wants it.

    `made_of` is what decides whether it is still true; it is stale from `valid_until` on. A large piece that stood on
    the page `before` is not compressed again: what is large is what seldom changes, hundreds of tables.
    """

    def __init__(
        self, made_of: tuple[object, ...], valid_until: float, pieces: Sequence[bytes], before: Joined | None = None
    ) -> None:
        self.made_of = made_of
        self.valid_until = valid_until
        self._pieces = pieces
        self.deflated: dict[int, tuple[bytes, bytes]] = before.deflated if before is not None else {}
        self._compressed = b""
        self._checksum = 0
        self._size = 0

    def followed_by(self, tail: bytes) -> bytes:
        return b"".join((*self._pieces, tail))

    def gzip_followed_by(self, tail: bytes) -> bytes:
        """One gzip member; the pieces are compressed at the first call only. One thread at a time."""
        if not self._compressed:
            self._compress()
        checksum = zlib.crc32(tail, self._checksum)
        size = (self._size + len(tail)) % _SIZES
        ends = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
        # Two members in a row would be shorter to write, and are read to the end of the first by many.
        return self._compressed + _deflated(tail, zlib.Z_FINISH) + ends

    def _compress(self) -> None:
        """Each stream ends on a whole byte, so that the next can follow: no compressor, 256 KiB, is kept for it."""
        kept: dict[int, tuple[bytes, bytes]] = {}
        made, small = [_GZIP_HEAD], list[bytes]()
        for piece in self._pieces:
            if len(piece) < _LARGE_BYTES:
                small.append(piece)
                continue
            made.append(self._counted(b"".join(small)))
            small.clear()
            known, deflated = self.deflated.get(id(piece), (b"", b""))
            kept[id(piece)] = piece, self._counted(piece, deflated if known is piece else b"")
            made.append(kept[id(piece)][1])
        made.append(self._counted(b"".join(small)))
        self.deflated = kept
        self._compressed = b"".join(made)

    def _counted(self, data: bytes, deflated: bytes = b"") -> bytes:
        """The data compressed, if it is not yet, and counted in what stands at the end of the page."""
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(data)
        return deflated or _deflated(data, zlib.Z_SYNC_FLUSH)


def _deflated(data: bytes, ending: int) -> bytes:
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush(ending)
