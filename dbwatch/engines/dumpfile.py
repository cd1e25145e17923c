"""Owns telling a whole dump file from a cut-off one by its first and last bytes. Knows no folder.

Every format below says at its end that the writer got there. What has no such end (zstd, encrypted files) is
`Kind.UNKNOWN` and gets the benefit of the doubt from the caller.
"""

from __future__ import annotations

import os
import stat
import zlib
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

LARGEST_GZIP_BYTES = 16 * 2**20
"""Up to this size a gzip file is unpacked to its end; nothing short of that can judge it."""
_HEAD_BYTES = 512
_TAIL_BYTES = 4096
_CHUNK_BYTES = 256 * 1024
_MOST_UNPACKED_BYTES = 2**30

_SQL_STARTS = (b"-- PostgreSQL database", b"-- MySQL dump", b"-- MariaDB dump", b"/*M!999999")
_SQL_ENDS = (
    b"-- PostgreSQL database dump complete",
    b"-- PostgreSQL database cluster dump complete",
    b"-- Dump completed",
)


class Kind(StrEnum):
    """What wrote the file."""

    ARCHIVE = "pg_dump archive"
    SQL = "SQL text"
    TAR = "tar archive"
    RDB = "Redis snapshot"
    GZIP = "gzip file"
    XZ = "xz file"
    UNKNOWN = "file"


def inspect(path: Path) -> tuple[Kind, str | None]:
    """The kind of a file, and what is wrong with it or None. Raises OSError."""
    # A pipe put in the file's place meanwhile must not block the open.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return Kind.UNKNOWN, "is not a file"
        size = facts.st_size
        head = stream.read(_HEAD_BYTES)
        stream.seek(max(0, size - _TAIL_BYTES))
        tail = stream.read(_TAIL_BYTES)
        kind = _kind(head)
        if kind is Kind.GZIP and size <= LARGEST_GZIP_BYTES:
            return kind, _gzip_problem(stream)
    return kind, None if _ends_well(kind, head, tail, path.name) else "is cut off: its end is missing"


def _kind(head: bytes) -> Kind:
    if head.startswith(b"PGDMP"):
        return Kind.ARCHIVE
    if head.startswith((b"REDIS", b"VALKEY")):
        return Kind.RDB
    if head.startswith(b"\x1f\x8b"):
        return Kind.GZIP
    if head.startswith(b"\xfd7zXZ\x00"):
        return Kind.XZ
    if head[257:262] == b"ustar":
        return Kind.TAR
    if any(start in head for start in _SQL_STARTS):
        return Kind.SQL
    return Kind.UNKNOWN


def _ends_well(kind: Kind, head: bytes, tail: bytes, name: str) -> bool:
    match kind:
        case Kind.ARCHIVE:
            # Each table's data ends with a chunk of length 0, an integer of sign and four bytes; an archive
            # without data ends in an unset 8-byte offset. The table of contents of `pg_dump -Fd` ends in a
            # file name instead.
            return name == "toc.dat" or tail.endswith(b"\x00" * 5)
        case Kind.SQL:
            return any(end in tail for end in _SQL_ENDS)
        case Kind.TAR:
            return tail.endswith(b"\x00" * 1024)
        case Kind.RDB:
            return _rdb_version(head) < 5 or tail[-9:-8] == b"\xff"
        case Kind.XZ:
            return tail.endswith(b"YZ")
        case Kind.GZIP | Kind.UNKNOWN:
            return True


def _rdb_version(head: bytes) -> int:
    digits = bytes(byte for byte in head[5:9] if 48 <= byte <= 57)
    return int(digits) if digits else 0


def _gzip_problem(stream: BinaryIO) -> str | None:
    """Unpack to the end, keeping only the last bytes: the checksum there proves the whole."""
    stream.seek(0)
    head, tail, unpacked = b"", b"", 0
    unpacker = zlib.decompressobj(wbits=31)
    while chunk := stream.read(_CHUNK_BYTES):
        while chunk:
            try:
                text = unpacker.decompress(chunk, _CHUNK_BYTES * 16)
            except zlib.error:
                return "is damaged: it does not unpack"
            head = (head + text)[:_HEAD_BYTES] if len(head) < _HEAD_BYTES else head
            tail = (tail + text)[-_TAIL_BYTES:]
            unpacked += len(text)
            if unpacked > _MOST_UNPACKED_BYTES:
                return None
            if not unpacker.eof:
                chunk = unpacker.unconsumed_tail
                continue
            chunk = unpacker.unused_data.lstrip(b"\x00")  # a further member, as pigz and appending write them
            if chunk:
                unpacker = zlib.decompressobj(wbits=31)
    if not unpacker.eof:
        return "is cut off: its end is missing"
    kind = _kind(head)
    if not head:
        return "is an empty file, packed"
    if kind is not Kind.GZIP and not _ends_well(kind, head, tail, ""):
        return "is cut off: what is packed in it has no end"
    return None
