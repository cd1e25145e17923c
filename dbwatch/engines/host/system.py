"""Owns the rows about the system as a whole: its clock and its table of open files. Judges nothing."""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.host.context import HostContext
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason


def clock(context: HostContext) -> Sequence[RawRow]:
    """One row: what the kernel thinks of its clock."""
    seen = context.kernel.clock()
    return (
        {
            "synchronised": float(seen.synchronised),
            "max_error_seconds": seen.max_error_seconds,
            "offset_seconds": seen.offset_seconds,
        },
    )


def file_handles(context: HostContext) -> Sequence[RawRow]:
    """One row: open files of all processes, and how many there may be."""
    words = context.files.need("proc/sys/fs/file-nr").split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        raise Skipped(Reason.PLATFORM, "/proc/sys/fs/file-nr does not tell the open files", step="read")
    opened, unused, most = (float(word) for word in words)
    return ({"used": opened - unused, "most": most},)
