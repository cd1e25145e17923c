"""Owns telling the memory and cores of a server's machine, when that machine is ours. Reads /proc; knows no query.

A server is on our machine when the very process that serves our session stands in our /proc. How much it may use is
then the machine's, or less by the limits of its control group and of every group above that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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
    """What the machine has cannot be told; the text says why."""


def local_memory_bytes(backend: Backend, root: Path = Path("/")) -> float:
    """The memory the server on this machine may use. Raises UnknownMachineError when it is not here, or not known."""
    if not _serves_us(backend, root):
        raise UnknownMachineError("the server runs on another machine")
    total = _MEMORY_TOTAL.search(_read(root / "proc" / "meminfo") or b"")
    if total is None:
        raise UnknownMachineError("/proc/meminfo does not tell the memory of this machine")
    return min(int(total[1]) * 1024.0, _group_limit(backend.pid, root))


def local_cpus(backend: Backend, root: Path = Path("/")) -> float:
    """The cores the server on this machine may use; a quota may leave a part of one. Raises UnknownMachineError."""
    if not _serves_us(backend, root):
        raise UnknownMachineError("the server runs on another machine")
    online = _read(root / "sys/devices/system/cpu/online")
    cores = sum(1 for _ in _numbers(online.decode("ascii", "replace"))) if online is not None else 0
    if not cores:
        raise UnknownMachineError("/sys does not tell the cores of this machine")
    return min(float(cores), _group_quota(backend.pid, root))


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
    limits: list[float] = []
    for controllers, path in _groups(pid, root):
        if controllers == "":
            limits += _limits(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    return min(limits, default=float("inf"))


def _group_quota(pid: int, root: Path) -> float:
    """The smallest share of cores the process's control groups leave it; infinite when none does."""
    quotas: list[float] = []
    for controllers, path in _groups(pid, root):
        if controllers == "":
            for folder in _folders(root / "sys/fs/cgroup", path):
                words = (_read(folder / "cpu.max") or b"").split()
                if len(words) == 2 and words[0].isdigit() and words[1].isdigit():
                    quotas.append(int(words[0]) / int(words[1]))
        elif "cpu" in controllers.split(","):
            for folder in _folders(root / "sys/fs/cgroup/cpu", path):
                quota, period = (
                    (_read(folder / name) or b"").strip() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
                )
                if quota.isdigit() and period.isdigit():
                    quotas.append(int(quota) / int(period))
    return min(quotas, default=float("inf"))


def _groups(pid: int, root: Path) -> list[tuple[str, str]]:
    """The control groups of the process, as controllers and path. Raises when they are not ours to see."""
    listed = _read(root / "proc" / str(pid) / "cgroup")
    if listed is None:
        raise UnknownMachineError("the control group of the server cannot be read")
    groups: list[tuple[str, str]] = []
    for line in listed.decode("utf-8", "replace").splitlines():
        _, controllers, path = line.split(":", 2)
        if ".." in PurePosixPath(path).parts:
            raise UnknownMachineError("the server runs in a container beside this one, whose limit cannot be seen")
        groups.append((controllers, path))
    return groups


def _limits(mount: Path, path: str, name: str) -> list[float]:
    """The limits of a group and of all above it."""
    limits: list[float] = []
    for folder in _folders(mount, path):
        value = (_read(folder / name) or b"").strip()
        if value.isdigit() and int(value) < _UNLIMITED:
            limits.append(float(value))
    return limits


def _folders(mount: Path, path: str) -> list[Path]:
    """The folders of a group and of all above it. In a container the group's own folder is the mount itself."""
    if not mount.is_dir():
        raise UnknownMachineError("the limits of the server's control group cannot be read")
    folders = [mount]
    for part in PurePosixPath(path).parts[1:]:
        folders.append(folders[-1] / part)
    return folders


def _numbers(text: str) -> Iterator[int]:
    """`0-2,5` is 0, 1, 2, 5."""
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            yield from range(int(first), int(last or first) + 1)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
