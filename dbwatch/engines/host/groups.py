"""Owns the control group of a database: its limits and its use, in either version. Judges nothing.

A limit may stand on the group or on any above it; the tightest is the real one, and what is used is read where it
stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from dbwatch.engines.host.files import Files, counts, unreadable, whole
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import Reason

_MOUNT = "sys/fs/cgroup"
_UNLIMITED = 2**60
"""Version 1 says "no limit" by a number near 2^63."""


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """`used_bytes` is what cannot be dropped, so without the cache of files; the working set has its active part."""

    limit_bytes: float
    used_bytes: float
    working_set_bytes: float


@dataclass(frozen=True, slots=True)
class GroupCpu:
    """`cpus` is what the quota leaves. Seconds and periods count since the group was made."""

    cpus: float
    used_seconds: float | None
    periods: float | None
    throttled: float | None
    throttled_seconds: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """One group. Version 1 has a folder for what it controls of memory and one of CPU; in the `second` they are one."""

    files: Files
    second: bool
    memory: str | None
    cpu: str | None

    def memory_use(self) -> GroupMemory | None:
        """None when nothing limits its memory."""
        name = "memory.max" if self.second else "memory.limit_in_bytes"
        tight = _tightest(self.memory, lambda folder: _amount(self.files.read(f"{folder}/{name}")))
        if tight is None:
            return None
        limit, folder = tight
        used = whole(self.files.need(f"{folder}/{'memory.current' if self.second else 'memory.usage_in_bytes'}"))
        stat = counts(self.files.need(f"{folder}/memory.stat"))
        prefix = "" if self.second else "total_"
        if used is None or f"{prefix}inactive_file" not in stat:
            raise Skipped(Reason.PLATFORM, f"the kernel does not tell what {folder} uses", step="read")
        idle, active = stat[f"{prefix}inactive_file"], stat.get(f"{prefix}active_file", 0)
        slab = stat.get("slab_reclaimable", 0) if self.second else 0
        return GroupMemory(limit, max(0.0, float(used - idle - active - slab)), max(0.0, float(used - idle)))

    def cpu_use(self) -> GroupCpu | None:
        """None when no quota limits it."""
        tight = _tightest(self.cpu, self._quota)
        if tight is None:
            return None
        cpus, folder = tight
        stat = counts(self.files.need(f"{folder}/cpu.stat"))
        used, throttled = _scaled(stat.get("usage_usec"), 1e-6), _scaled(stat.get("throttled_usec"), 1e-6)
        if not self.second:
            throttled = _scaled(stat.get("throttled_time"), 1e-9)
            below = PurePosixPath(folder).relative_to(f"{_MOUNT}/cpu")
            used = _scaled(whole(self.files.read(f"{_MOUNT}/cpuacct/{below}/cpuacct.usage")), 1e-9)
        return GroupCpu(
            cpus, used, _scaled(stat.get("nr_periods"), 1.0), _scaled(stat.get("nr_throttled"), 1.0), throttled
        )

    def oom_kills(self) -> int | None:
        """Processes of this group and those below it that the kernel ended for want of memory."""
        name = "memory.events" if self.second else "memory.oom_control"
        text = self.files.read(f"{self.memory}/{name}") if self.memory is not None else None
        return None if text is None else counts(text).get("oom_kill")

    def pressure(self, resource: str) -> str | None:
        """What the group's processes wait for; version 2 only."""
        return self.files.read(f"{self.memory}/{resource}.pressure") if self.second else None

    def _quota(self, folder: str) -> float | None:
        if self.second:
            words = (self.files.read(f"{folder}/cpu.max") or "").split()
            quota, period = (whole(words[0]), whole(words[1])) if len(words) == 2 else (None, None)
        else:
            quota, period = (
                whole(self.files.read(f"{folder}/{name}")) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        return quota / period if quota and period else None


def find_group(files: Files, path: str | None) -> Group | None:
    """The group of that path, which may hold `*`; None when none is named. Raises CheckError."""
    if path is None:
        return None
    try:
        return _found(files, path)
    except OSError as error:
        raise unreadable(files.root / _MOUNT, error) from None


def _found(files: Files, path: str) -> Group:
    if (files.root / _MOUNT / "cgroup.controllers").exists():
        folder = _folder(files, _MOUNT, path)
        group = Group(files, second=True, memory=folder, cpu=folder)
    else:
        memory, cpu = (_folder(files, f"{_MOUNT}/{name}", path) for name in ("memory", "cpu"))
        group = Group(files, second=False, memory=memory, cpu=cpu)
    if group.memory is None and group.cpu is None:
        where = files.root / _MOUNT
        raise Skipped(Reason.PLATFORM, f"no control group {path} below {where}; does `cgroup:` name it?", step="read")
    return group


def _folder(files: Files, mount: str, path: str) -> str | None:
    """The one folder that matches, as a path below the root. A `-` of a pattern matches `_`, as systemd writes it."""
    wanted = path.strip("/")
    if "*" not in wanted:
        return f"{mount}/{wanted}".rstrip("/") if (files.root / mount / wanted).is_dir() else None
    pattern = wanted.replace("-", "[-_]")
    found = sorted(folder for folder in (files.root / mount).glob(pattern) if folder.is_dir())
    if len(found) > 1:
        names = ", ".join(str(folder.relative_to(files.root / mount)) for folder in found[:3])
        raise CheckError(Reason.ERROR, f"{len(found)} control groups match {path}: {names}", step="read")
    return str(found[0].relative_to(files.root)) if found else None


def _tightest(folder: str | None, limit: Callable[[str], float | None]) -> tuple[float, str] | None:
    """The lowest limit of a folder and all above it, and the folder it stands in."""
    found = [(value, above) for above in _upwards(folder) if (value := limit(above)) is not None]
    return min(found, key=lambda pair: pair[0], default=None)


def _upwards(folder: str | None) -> Iterator[str]:
    if folder is None:
        return
    path = PurePosixPath(folder)
    while path.is_relative_to(_MOUNT):
        yield str(path)
        path = path.parent


def _amount(text: str | None) -> float | None:
    value = whole(text)
    return float(value) if value is not None and value < _UNLIMITED else None


def _scaled(value: int | None, factor: float) -> float | None:
    return None if value is None else value * factor
