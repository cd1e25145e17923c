"""Owns telling how much memory the machine of a server has, when that machine is ours. Reads /proc; knows no query.

A server is on our machine when the very process that serves our session stands in our /proc. How much memory it may
use is then the machine's, or less by the limits of its control group and of every group above that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_UNLIMITED = 2**60
"""Version 1 says "no limit" by a number near 2^63."""
_MEMORY_TOTAL = re.compile(rb"^MemTotal:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Backend:
    """The process of our session as the server knows it. `client_port` is None on a socket of the file system."""

    pid: int
    user: str
    database: str
    client_port: int | None


class UnknownMachineError(Exception):
    """The machine's memory cannot be told; the text says why."""


def local_memory_bytes(backend: Backend, root: Path = Path("/")) -> float:
    """The memory the server on this machine may use. Raises UnknownMachineError when it is not here, or not known."""
    if not _serves_us(backend, root):
        raise UnknownMachineError("the server runs on another machine")
    total = _MEMORY_TOTAL.search(_read(root / "proc" / "meminfo") or b"")
    if total is None:
        raise UnknownMachineError("/proc/meminfo does not tell the memory of this machine")
    return min(int(total[1]) * 1024.0, _group_limit(backend.pid, root))


def _serves_us(backend: Backend, root: Path) -> bool:
    """Whether that process is a PostgreSQL backend for this very session: by its title, `postgres: user database …`."""
    title = _read(root / "proc" / str(backend.pid) / "cmdline")
    if title is None:
        return False
    words = title.rstrip(b"\0").decode("utf-8", "replace")
    if not words.startswith("postgres: "):
        return False
    where = "[local]" if backend.client_port is None else f"({backend.client_port})"
    return f"{backend.user} {backend.database} " in words and where in words


def _group_limit(pid: int, root: Path) -> float:
    """The lowest memory limit of the process's control groups; infinite when there is none. Raises when unreadable."""
    listed = _read(root / "proc" / str(pid) / "cgroup")
    if listed is None:
        raise UnknownMachineError("the control group of the server cannot be read")
    limits: list[float] = []
    for line in listed.decode("utf-8", "replace").splitlines():
        _, controllers, path = line.split(":", 2)
        if ".." in PurePosixPath(path).parts:
            raise UnknownMachineError("the server runs in a container beside this one, whose limit cannot be seen")
        if controllers == "":
            limits += _limits(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    return min(limits, default=float("inf"))


def _limits(mount: Path, path: str, name: str) -> list[float]:
    """The limits of a group and of all above it. In a container the group's own folder is the mount itself."""
    if not mount.is_dir():
        raise UnknownMachineError("the limits of the server's control group cannot be read")
    folders = [mount]
    for part in PurePosixPath(path).parts[1:]:
        folders.append(folders[-1] / part)
    limits: list[float] = []
    for folder in folders:
        value = (_read(folder / name) or b"").strip()
        if value.isdigit() and int(value) < _UNLIMITED:
            limits.append(float(value))
    return limits


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
