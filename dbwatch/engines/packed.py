"""Owns reading a compressed file to its end: is it whole, and what are the first and last bytes in it. Knows no dump.

What the standard library unpacks is unpacked. Of zstd and lz4 the frames are walked, which needs no unpacking and shows
whether the writer got to the end; what is inside is seen where their programs are installed.
"""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import subprocess
import time
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

LARGEST_UNPACKED_FILE = 16 * 2**20
"""Up to this size a packed file is unpacked; a larger one is judged by its own end alone, which gzip does not have."""
_CHUNK_BYTES = 256 * 1024
_HEAD_BYTES = 512
_TAIL_BYTES = 4096
_MOST_UNPACKED_BYTES = 2**30
_PROGRAM_SECONDS = 20.0
_MOST_BLOCKS = 100_000
"""A walk reads a little every 128 KiB, so this is 12 GiB; of what has more the end is not seen."""
_TOO_MUCH_MEMORY = "emory"
"""In what xz and zstd say when a file was packed with a larger window than they unpack by default."""
_BZIP2_END = 0x177245385090
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_LZ4_MAGIC = b"\x04\x22\x4d\x18"
CUT_OFF = "is cut off: its end is missing"
DAMAGED = "is damaged: it does not unpack"


class Packing(StrEnum):
    GZIP = "gzip"
    XZ = "xz"
    BZIP2 = "bzip2"
    ZSTD = "zstd"
    LZ4 = "lz4"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`problem` is what is wrong with the packing; `head` and `tail` are empty when nothing was unpacked.

    `end_seen` is false where nobody knows whether the writer got to the end.
    """

    problem: str | None = None
    head: bytes = b""
    tail: bytes = b""
    to_the_end: bool = False
    end_seen: bool = True


def packing_of(head: bytes) -> Packing | None:
    """By the first bytes."""
    for magic, packing in (
        (b"\x1f\x8b", Packing.GZIP),
        (b"\xfd7zXZ\x00", Packing.XZ),
        (b"BZh", Packing.BZIP2),
        (_ZSTD_MAGIC, Packing.ZSTD),
        (_LZ4_MAGIC, Packing.LZ4),
    ):
        if head.startswith(magic):
            return packing
    return None


def read_through(stream: BinaryIO, packing: Packing, size_bytes: int) -> Unpacked:
    """Raises OSError."""
    if packing in (Packing.ZSTD, Packing.LZ4):
        walk = _zstd_ends if packing is Packing.ZSTD else _lz4_ends
        reached = walk(stream, size_bytes)
        if not reached:
            return Unpacked(end_seen=False) if reached is None else Unpacked(CUT_OFF)
        return _by_program(stream, packing) if size_bytes <= LARGEST_UNPACKED_FILE else Unpacked()
    if size_bytes > LARGEST_UNPACKED_FILE:
        return _end_of_large(stream, packing)
    return _unpack(stream, packing)


def _end_of_large(stream: BinaryIO, packing: Packing) -> Unpacked:
    if packing is Packing.XZ:
        stream.seek(-2, os.SEEK_END)
        return Unpacked(None if stream.read(2) == b"YZ" else CUT_OFF)
    if packing is Packing.BZIP2:
        # 48 bits that say so and 32 of checksum, filled up to whole bytes.
        stream.seek(-11, os.SEEK_END)
        end = int.from_bytes(stream.read(11), "big")
        ends = any((end >> fill >> 32) & (2**48 - 1) == _BZIP2_END for fill in range(8))
        return Unpacked(None if ends else CUT_OFF)
    return Unpacked(end_seen=False)


class _Ends:
    """The first and the last bytes of what passes by."""

    def __init__(self) -> None:
        self.head = b""
        self.tail = b""
        self.passed = 0

    def take(self, data: bytes) -> None:
        self.head = (self.head + data)[:_HEAD_BYTES] if len(self.head) < _HEAD_BYTES else self.head
        self.tail = (self.tail + data)[-_TAIL_BYTES:]
        self.passed += len(data)

    @property
    def too_much(self) -> bool:
        return self.passed > _MOST_UNPACKED_BYTES


class _Zlib:
    """zlib's interface, as the other two have it."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail


def _new(packing: Packing) -> _Zlib | lzma.LZMADecompressor | bz2.BZ2Decompressor:
    match packing:
        case Packing.GZIP:
            return _Zlib()
        case Packing.XZ:
            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=2**28)
        case _:
            return bz2.BZ2Decompressor()


def _unpack(stream: BinaryIO, packing: Packing) -> Unpacked:
    stream.seek(0)
    ends, unpacker, data, begun = _Ends(), _new(packing), b"", True
    while True:
        if unpacker.needs_input and not data:
            data = stream.read(_CHUNK_BYTES)
            if not data:
                break
        try:
            ends.take(unpacker.decompress(data, _CHUNK_BYTES * 16))
        except (zlib.error, lzma.LZMAError, OSError) as error:
            if _TOO_MUCH_MEMORY in str(error):
                return Unpacked(end_seen=False)
            return Unpacked(DAMAGED, ends.head, ends.tail)
        data = b""
        if ends.too_much:
            return Unpacked(None, ends.head, ends.tail, end_seen=False)
        if not unpacker.eof:
            continue
        # A further member, as pigz and appending write them.
        data = unpacker.unused_data.lstrip(b"\x00") or stream.read(_CHUNK_BYTES).lstrip(b"\x00")
        begun = bool(data)
        if not begun:
            break
        unpacker = _new(packing)
    return Unpacked(CUT_OFF if begun and not unpacker.eof else None, ends.head, ends.tail, to_the_end=True)


def _zstd_ends(stream: BinaryIO, size_bytes: int) -> bool | None:
    """Whether the frames of RFC 8878 reach the end of the file exactly; None where there are too many."""
    at, blocks = 0, 0
    while at < size_bytes:
        stream.seek(at)
        head = stream.read(18)
        if len(head) < 5:
            return False
        if 0x184D2A50 <= int.from_bytes(head[:4], "little") <= 0x184D2A5F:  # a frame to be skipped
            at += 8 + int.from_bytes(head[4:8], "little")
            continue
        if head[:4] != _ZSTD_MAGIC:
            return False
        flags = head[4]
        is_single = bool(flags & 0x20)
        content = (1 if is_single else 0, 2, 4, 8)[flags >> 6]
        at += 5 + (0 if is_single else 1) + (0, 1, 2, 4)[flags & 3] + content
        while True:
            blocks += 1
            if blocks > _MOST_BLOCKS:
                return None
            stream.seek(at)
            block = int.from_bytes(stream.read(3).ljust(3, b"\xff"), "little")
            at += 3 + (1 if (block >> 1) & 3 == 1 else block >> 3)
            if at > size_bytes:
                return False
            if block & 1:
                break
        at += 4 if flags & 4 else 0
    return at == size_bytes


def _lz4_ends(stream: BinaryIO, size_bytes: int) -> bool | None:
    """Whether the frames of the LZ4 frame format reach the end of the file exactly; None where there are too many."""
    at, blocks = 0, 0
    while at < size_bytes:
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 7:
            return False
        if 0x184D2A50 <= int.from_bytes(head[:4], "little") <= 0x184D2A5F:
            at += 8 + int.from_bytes(head[4:8], "little")
            continue
        if head[:4] != _LZ4_MAGIC:
            return False
        flags = head[4]
        at += 7 + (8 if flags & 0x08 else 0) + (4 if flags & 0x01 else 0)
        while True:
            blocks += 1
            if blocks > _MOST_BLOCKS:
                return None
            stream.seek(at)
            block = stream.read(4)
            at += 4
            length = int.from_bytes(block, "little") & 0x7FFF_FFFF
            if len(block) < 4 or at + length > size_bytes:
                return False
            if length == 0:
                break
            at += length + (4 if flags & 0x10 else 0)
        at += 4 if flags & 0x04 else 0
    return at == size_bytes


def _by_program(stream: BinaryIO, packing: Packing) -> Unpacked:
    """What is inside, by the packer's own program where there is one."""
    program = shutil.which(str(packing))
    if program is None:
        return Unpacked()
    os.lseek(stream.fileno(), 0, os.SEEK_SET)
    ends, until = _Ends(), time.monotonic() + _PROGRAM_SECONDS
    with subprocess.Popen([program, "-dc"], stdin=stream, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while data := process.stdout.read(_CHUNK_BYTES):
            ends.take(data)
            if ends.too_much or time.monotonic() > until:
                process.kill()
                return Unpacked(None, ends.head, ends.tail)
        said = process.stderr.read(_TAIL_BYTES).decode("utf-8", "replace")
    if _TOO_MUCH_MEMORY in said:
        return Unpacked()
    return Unpacked(None if process.returncode == 0 else DAMAGED, ends.head, ends.tail, to_the_end=True)
