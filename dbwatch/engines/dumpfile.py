"""Owns telling a whole dump file from a cut-off one. Knows no folder.

Every format below says at its end that the writer got there. What has no such end (encrypted files) is `Kind.UNKNOWN`
and gets the benefit of the doubt from the caller. Archives of pg_dump are also listed by pg_restore, where it is
installed: a damaged table of contents has an end all the same.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from dbwatch.engines.dumparchive import CutOffError, follow
from dbwatch.engines.packed import CUT_OFF, Packing, packing_of, read_through

_HEAD_BYTES = 512
_TAIL_BYTES = 4096
_LIST_SECONDS = 20.0

_SQL_STARTS = (b"-- PostgreSQL database", b"-- MySQL dump", b"-- MariaDB dump", b"/*M!999999")
_SQL_ENDS = (
    b"-- PostgreSQL database dump complete",
    b"-- PostgreSQL database cluster dump complete",
    b"-- Dump completed",
)
_CLUSTER_STARTS = b"-- PostgreSQL database cluster dump"
_CLUSTER_ENDS = (b"-- PostgreSQL database cluster dump complete",)
_LENGTH_OF_NOTHING = b"\x00" * 5
"""Ends each table's data: an integer of sign and four bytes. Without data the archive ends in an unset place of 8."""
# pg_restore of an older major refuses what a newer pg_dump wrote: that says nothing about the file.
_NOT_ITS_FAULT = ("unsupported version", "compression")


class Kind(StrEnum):
    """What wrote the file."""

    ARCHIVE = "pg_dump archive"
    SQL = "SQL text"
    TAR = "tar archive"
    RDB = "Redis snapshot"
    GZIP = "gzip file"
    XZ = "xz file"
    BZIP2 = "bzip2 file"
    ZSTD = "zstd file"
    LZ4 = "lz4 file"
    ENDLESS = "packed file whose end cannot be seen"
    UNKNOWN = "file"

    @property
    def shows_its_end(self) -> bool:
        """Whether a cut-off one would have been noticed."""
        return self not in (Kind.ENDLESS, Kind.UNKNOWN)


_PACKED = {
    Packing.GZIP: Kind.GZIP,
    Packing.XZ: Kind.XZ,
    Packing.BZIP2: Kind.BZIP2,
    Packing.ZSTD: Kind.ZSTD,
    Packing.LZ4: Kind.LZ4,
}


def inspect(path: Path) -> tuple[Kind, str | None]:
    """The kind of a file, and what is wrong with it or None. Raises OSError."""
    # A pipe put in the file's place meanwhile must not block the open.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
        facts = os.fstat(stream.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return Kind.UNKNOWN, "is not a file"
        size = facts.st_size
        head = stream.read(_HEAD_BYTES)
        packing = packing_of(head)
        if packing is not None:
            inside = read_through(stream, packing, size)
            problem = inside.problem
            if problem is None and inside.to_the_end:
                problem = _problem_inside(inside.head, inside.tail)
            kind = _PACKED[packing]
            return kind if inside.end_seen or problem is not None else Kind.ENDLESS, problem
        stream.seek(max(0, size - _TAIL_BYTES))
        tail = stream.read(_TAIL_BYTES)
        kind = _kind(head)
        if kind is Kind.ARCHIVE:
            return kind, _archive_problem(stream, path, size, tail)
    if not _ends_well(kind, head, tail) or (kind is Kind.TAR and size % 512):
        return kind, CUT_OFF
    return kind, None


def _archive_problem(stream: BinaryIO, path: Path, size_bytes: int, tail: bytes) -> str | None:
    """Of an archive of a version that is not known only the end can be looked at."""
    is_folder = path.name == "toc.dat"
    try:
        archive = follow(stream, size_bytes)
    except CutOffError:
        # With a whole end it is its beginning that makes no sense.
        return (tail.endswith(_LENGTH_OF_NOTHING) and _unlisted(path)) or CUT_OFF
    if not archive.followed and not is_folder and not tail.endswith(_LENGTH_OF_NOTHING):
        return CUT_OFF
    for name in archive.files:
        if not any(_has_content(path.parent / f"{name}{packed}") for packed in ("", ".gz", ".lz4", ".zst")):
            return f"is incomplete: {name} is missing or empty"
    return _unlisted(path)


def _has_content(file: Path) -> bool:
    """Whether it is there; of packed ones also whether it holds anything, which even an empty table's does."""
    return file.is_file() and (file.suffix in (".dat", ".toc") or file.stat().st_size > 0)


def _kind(head: bytes) -> Kind:
    if head.startswith(b"PGDMP"):
        return Kind.ARCHIVE
    if head.startswith((b"REDIS", b"VALKEY")):
        return Kind.RDB
    if head[257:262] == b"ustar":
        return Kind.TAR
    if any(start in head for start in _SQL_STARTS):
        return Kind.SQL
    return Kind.UNKNOWN


def _ends_well(kind: Kind, head: bytes, tail: bytes) -> bool:
    match kind:
        case Kind.ARCHIVE:
            return tail.endswith(_LENGTH_OF_NOTHING)
        case Kind.SQL:
            # pg_dumpall's holds the end of each database's dump, and goes on.
            return any(end in tail for end in (_CLUSTER_ENDS if _CLUSTER_STARTS in head else _SQL_ENDS))
        case Kind.TAR:
            return tail.endswith(b"\x00" * 1024)
        case Kind.RDB:
            return _rdb_version(head) < 5 or tail[-9:-8] == b"\xff"
        case _:
            return True


def _rdb_version(head: bytes) -> int:
    digits = bytes(byte for byte in head[5:9] if 48 <= byte <= 57)
    return int(digits) if digits else 0


def _problem_inside(head: bytes, tail: bytes) -> str | None:
    if not head:
        return "is an empty file, packed"
    if not _ends_well(_kind(head), head, tail):
        return "is cut off: what is packed in it has no end"
    return None


def _unlisted(path: Path) -> str | None:
    """What pg_restore says against listing the archive; None without complaint, and where it cannot be asked."""
    program = shutil.which("pg_restore")
    if program is None:
        return None
    listed = path.parent if path.name == "toc.dat" else path
    try:
        done = subprocess.run(
            [program, "--list", "--", str(listed)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            timeout=_LIST_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == 0 or not said or any(word in said for word in _NOT_ITS_FAULT):
        return None
    return "is damaged: pg_restore cannot list it"
