"""Owns what is asked of the kernel by a call and not by a file: the space of a volume, the clock. Judges nothing."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from dbwatch.errors import Skipped
from dbwatch.model import Reason

_UNSYNCHRONISED = 0x0040
_NANOSECONDS = 0x2000
_ADJTIMEX_READS_LONGS_OF = 8


@dataclass(frozen=True, slots=True)
class Space:
    """A file system's bytes and inodes as an ordinary user has them: what is reserved for root is not available.

    The numbers of inodes are None where the file system makes them as it needs them.
    """

    used_bytes: float
    available_bytes: float
    inodes_used: float | None
    inodes_free: float | None
    device: str
    """`major:minor` of the device the folder is on."""


@dataclass(frozen=True, slots=True)
class KernelClock:
    """How well the kernel thinks its clock is kept."""

    synchronised: bool
    offset_seconds: float
    max_error_seconds: float


class Kernel(Protocol):
    """The calls; a test plays them."""

    def space(self, path: Path) -> Space:
        """May hang on a dead network share. Raises OSError."""
        ...

    def clock(self) -> KernelClock:
        """Raises Skipped."""
        ...

    def monotonic(self) -> float: ...


class RealKernel:
    """The kernel we run on."""

    def space(self, path: Path) -> Space:
        seen = os.statvfs(path)
        device = path.stat().st_dev
        return Space(
            used_bytes=float((seen.f_blocks - seen.f_bfree) * seen.f_frsize),
            available_bytes=float(seen.f_bavail * seen.f_frsize),
            inodes_used=float(seen.f_files - seen.f_ffree) if seen.f_files else None,
            inodes_free=float(seen.f_favail) if seen.f_files else None,
            device=f"{os.major(device)}:{os.minor(device)}",
        )

    def clock(self) -> KernelClock:
        if ctypes.sizeof(ctypes.c_long) != _ADJTIMEX_READS_LONGS_OF:
            raise Skipped(Reason.PLATFORM, "the kernel's clock is read on 64-bit systems only", step="clock")
        told = _Timex()
        try:
            answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(told))
        except (AttributeError, OSError):
            raise Skipped(Reason.PLATFORM, "this system has no adjtimex()", step="clock") from None
        if answer < 0:
            text = os.strerror(ctypes.get_errno())
            raise Skipped(Reason.PRIVILEGE, f"adjtimex() is refused: {text}", step="clock")
        scale = 1e-9 if told.status & _NANOSECONDS else 1e-6
        return KernelClock(not told.status & _UNSYNCHRONISED, told.offset * scale, told.maxerror * 1e-6)

    def monotonic(self) -> float:
        return time.monotonic()


class _Timex(ctypes.Structure):
    """`struct timex` of Linux on 64-bit systems. With `modes` 0 nothing is changed and no right is needed."""

    _fields_: ClassVar = [
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "sec", "usec", "tick")),
        *((name, ctypes.c_long) for name in ("ppsfreq", "jitter")),
        ("shift", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    ]
