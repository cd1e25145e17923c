"""Owns finding the PgBouncer that answers us among the processes of this machine, and what it may open. Reads /proc.

Over a socket of the file system the kernel says who answers. Over loopback the socket's owner and inode do: it is found
when one process called pgbouncer holds that very socket, or, where we may not look into processes, when it is the only
one of its user. Everything else is not known.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dbwatch.errors import Skipped
from dbwatch.model import Reason

_NAME: Final = "pgbouncer"
_LISTENING: Final = "0A"
_OPEN_FILES: Final = re.compile(r"^Max open files\s+(\d+|unlimited)\s", re.MULTILINE)
_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Process:
    """`open_files_limit` None is no limit; `open_files` None is not ours to see."""

    pid: int
    open_files_limit: float | None
    open_files: float | None


def process_behind(fileno: int, root: Path = Path("/")) -> Process:
    """The PgBouncer at the other end of this socket of ours. Raises Skipped(platform) when it cannot be told."""
    twin = socket.socket(fileno=os.dup(fileno))
    with twin:
        if twin.family == socket.AF_UNIX:
            pid, _, _ = _CREDENTIALS.unpack(twin.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
            return _told(pid, root)
        address, port = twin.getpeername()[:2]
        if address != twin.getsockname()[0]:
            raise _unknown("it runs on another machine")
    return _told(_listener(port, root), root)


def _listener(port: int, root: Path) -> int:
    """The pid of the one that listens there."""
    sockets = dict(_listening(port, root))
    if not sockets:
        raise _unknown("what listens there is not of this machine or of this container")
    candidates = [pid for pid in _called_pgbouncer(root) if _owner(pid, root) in sockets.values()]
    holders = [pid for pid in candidates if _holds(pid, set(sockets), root)]
    found = holders or candidates
    if len(found) != 1:
        raise _unknown("several processes of this machine could be it" if found else "its process cannot be seen")
    return found[0]


def _listening(port: int, root: Path) -> Iterator[tuple[str, int]]:
    """Inode and owner of each socket that listens on the port, in our own network namespace."""
    for name in ("tcp", "tcp6"):
        for line in _read(root / "proc/net" / name).splitlines()[1:]:
            words = line.split()
            if len(words) > 9 and words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9], int(words[7])


def _called_pgbouncer(root: Path) -> Iterator[int]:
    for folder in (root / "proc").iterdir():
        if folder.name.isdigit() and _is_pgbouncer(int(folder.name), root):
            yield int(folder.name)


def _owner(pid: int, root: Path) -> int | None:
    try:
        return (root / "proc" / str(pid)).stat().st_uid
    except OSError:
        return None


def _is_pgbouncer(pid: int, root: Path) -> bool:
    """By its own name, or by its command line where a loader or a wrapper has started it."""
    if _read(root / "proc" / str(pid) / "comm").strip() == _NAME:
        return True
    words = _read(root / "proc" / str(pid) / "cmdline").split("\0")
    return any(word.rpartition("/")[2] == _NAME for word in words)


def _holds(pid: int, inodes: set[str], root: Path) -> bool:
    folder = root / "proc" / str(pid) / "fd"
    try:
        return any(str(link.readlink()) in {f"socket:[{inode}]" for inode in inodes} for link in folder.iterdir())
    except OSError:
        return False


def _told(pid: int, root: Path) -> Process:
    if not _is_pgbouncer(pid, root):
        raise _unknown("the process behind its socket cannot be seen, or is another")
    match = _OPEN_FILES.search(_read(root / "proc" / str(pid) / "limits"))
    if match is None:
        raise _unknown("its limits cannot be read")
    try:
        files = float(sum(1 for _ in (root / "proc" / str(pid) / "fd").iterdir()))
    except OSError:
        return Process(pid, _limit(match[1]), None)
    return Process(pid, _limit(match[1]), files)


def _limit(told: str) -> float | None:
    return float(told) if told.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _unknown(why: str) -> Skipped:
    return Skipped(Reason.PLATFORM, f"the process of PgBouncer cannot be looked at: {why}", step="process")
