"""Owns reading the kernel's small files below a root, and saying why one cannot be read. Knows no measure.

A file that is not there is a platform that does not have it, never a zero.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from dbwatch.errors import Skipped
from dbwatch.model import Reason

_REFUSED = frozenset({errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a machine whose `/` is mounted at `root`."""

    root: Path

    def read(self, path: str) -> str | None:
        """The text of a file; None when it cannot be read, for whatever reason."""
        try:
            return (self.root / path).read_text("utf-8", "replace")
        except (OSError, ValueError):
            return None

    def need(self, path: str) -> str:
        """The text of a file. Raises Skipped."""
        try:
            return (self.root / path).read_text("utf-8", "replace")
        except OSError as error:
            raise unreadable(self.root / path, error) from None


def unreadable(path: Path, error: OSError) -> Skipped:
    """Why a file of the kernel does not answer."""
    reason = Reason.PRIVILEGE if error.errno in _REFUSED else Reason.PLATFORM
    return Skipped(reason, f"{path} cannot be read: {error.strerror or error}", step="read")


def counts(text: str) -> dict[str, int]:
    """Lines of a name and a whole number, as in /proc/vmstat and memory.stat; others are left out."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if value.strip().isdigit():
            found[name] = int(value)
    return found


def whole(text: str | None) -> int | None:
    """The number a file holds; None for none, and for `max`."""
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdigit() else None
