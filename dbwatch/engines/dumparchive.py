"""Owns following an archive of pg_dump (`-Fc`, and the `toc.dat` of `-Fd`) to its end. Needs no program.

An archive begins with its table of contents; each piece of data after it is cut into lengths, and ends with a length of
0. So a file that was cut anywhere is told from a whole one, also where a piece happens to end. Nothing is unpacked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

_FIRST, _LAST = (1, 12), (1, 16)
"""The versions of the format that PostgreSQL 9 to 18 write."""
_CUSTOM, _FOLDER = 1, 3
# What lies in a folder says of itself that it is a tar archive.
_NO_DATA, _PLACED = 3, 2
_DATA, _LARGE_OBJECTS = 1, 3
_MOST_ENTRIES = 1_000_000
_MOST_LENGTHS = 100_000
"""A length every 4 KiB or more; what has more of them after its last piece has begun is judged by its last bytes."""


class CutOffError(Exception):
    """The file ends before the archive does."""


@dataclass(frozen=True, slots=True)
class Archive:
    """What was followed. `followed` is false for a version that is not known, and where it took too long.

    `files` are those that an archive in a folder consists of.
    """

    followed: bool
    files: tuple[str, ...] = ()


def follow(stream: BinaryIO, size_bytes: int) -> Archive:
    """Raises CutOffError and OSError."""
    stream.seek(0)
    return _Reader(stream, size_bytes).archive()


class _Reader:
    def __init__(self, stream: BinaryIO, size_bytes: int) -> None:
        self._stream = stream
        self._size = size_bytes
        self._int_bytes = 4
        self._lengths = 0

    def archive(self) -> Archive:
        magic, major, minor, _, self._int_bytes, offset_bytes, kind = self._bytes(5), *self._bytes(6)
        version = (major, minor)
        known = magic == b"PGDMP" and _FIRST <= version <= _LAST and kind in (_CUSTOM, _FOLDER)
        if not known or not 2 <= self._int_bytes <= 8 or offset_bytes > 8:
            return Archive(followed=False)
        if version >= (1, 15):
            self._bytes(1)
        else:
            self._int()
        for _ in range(7):  # when it was made
            self._int()
        for _ in range(3):  # of what, and by what
            self._text()
        files: list[str] = []
        pieces, last = 0, 0
        count = self._int()
        if not 0 <= count <= _MOST_ENTRIES:
            return Archive(followed=False)
        for _ in range(count):
            self._entry(version)
            if kind == _FOLDER:
                files += [name for name in [self._text()] if name]
                continue
            state, *offset = self._bytes(1 + offset_bytes)
            pieces += state != _NO_DATA
            last = max(last, int.from_bytes(bytes(offset), "little") if state == _PLACED else 0)
        if kind == _CUSTOM:
            # pg_dump 18 writes its table of contents once more behind all data when it cannot go back.
            return Archive(followed=self._pieces(pieces, last))
        return Archive(followed=self._stream.tell() == self._size, files=tuple(files))

    def _entry(self, version: tuple[int, int]) -> None:
        self._int()
        self._int()
        for _ in range(4):
            self._text()
        self._int()
        for _ in range(6 if version >= (1, 14) else 5):
            self._text()
        if version >= (1, 16):
            self._int()
        self._text()
        self._text()
        while self._text() is not None:
            pass

    def _pieces(self, expected: int, last: int) -> bool:
        """False when it takes too long. Where pg_dump has noted the places, only the last piece is followed."""
        if last:
            if last >= self._size:
                raise CutOffError
            self._stream.seek(last)
        for _ in range(1 if last else expected):
            (kind,) = self._bytes(1)
            self._int()
            if kind == _DATA:
                done = self._run()
            elif kind == _LARGE_OBJECTS:
                done = True
                while done and self._int():
                    done = self._run()
            else:
                return False
            if not done:
                return False
        return True

    def _run(self) -> bool:
        while length := self._int():
            self._lengths += 1
            if length < 0 or self._lengths > _MOST_LENGTHS:
                return False
            self._skip(length)
        return True

    def _text(self) -> str | None:
        length = self._int()
        return None if length < 0 else self._bytes(length).decode("utf-8", "replace")

    def _int(self) -> int:
        sign, *digits = self._bytes(1 + self._int_bytes)
        value = int.from_bytes(bytes(digits), "little")
        return -value if sign else value

    def _bytes(self, count: int) -> bytes:
        if count > self._size:
            raise CutOffError
        found = self._stream.read(count)
        if len(found) < count:
            raise CutOffError
        return found

    def _skip(self, count: int) -> None:
        at = self._stream.seek(count, 1)
        if at > self._size:
            raise CutOffError
