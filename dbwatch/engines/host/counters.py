"""Owns asking psutil about the machine below a root. The only module that imports psutil.

psutil keeps the place of /proc in a variable of the process, so one look at a time. It says 0 for what it does not
find; what could be such a 0 is not asked here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, cast

import psutil

from dbwatch.engines.host.files import unreadable
from dbwatch.errors import Skipped
from dbwatch.model import Reason

T = TypeVar("T")
_one_root_at_a_time = threading.Lock()


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Seconds of all cores together since the machine started. Busy is neither idle nor waiting for a disk."""

    busy: float
    idle: float
    waiting: float
    stolen: float
    cpus: int

    @property
    def whole(self) -> float:
        return self.busy + self.idle + self.waiting


@dataclass(frozen=True, slots=True)
class MachineMemory:
    total_bytes: float
    available_bytes: float


class DiskCount(Protocol):
    """Since the machine started; times are milliseconds, summed over operations that may overlap."""

    read_count: int
    write_count: int
    read_time: int
    write_time: int
    busy_time: int


def cpu_time(root: Path) -> CpuTime:
    """Raises Skipped."""

    def ask() -> CpuTime:
        # The line of all cores goes on when a core is switched off, those of the cores are the ones that are on.
        times = psutil.cpu_times()._asdict()

        def seconds(*states: str) -> float:
            return float(sum(times.get(state, 0.0) for state in states))

        return CpuTime(
            # The time of guests is part of user and nice already.
            busy=seconds("user", "nice", "system", "irq", "softirq", "steal"),
            idle=seconds("idle"),
            waiting=seconds("iowait"),
            stolen=seconds("steal"),
            cpus=len(psutil.cpu_times(percpu=True)),
        )

    seen = _asked(root, "proc/stat", ask)
    if not seen.cpus:
        raise Skipped(Reason.PLATFORM, f"{root / 'proc/stat'} names no core", step="read")
    return seen


def machine_memory(root: Path) -> MachineMemory:
    """Raises Skipped."""

    def ask() -> MachineMemory:
        seen = psutil.virtual_memory()
        return MachineMemory(float(seen.total), float(seen.available))

    return _asked(root, "proc/meminfo", ask)


def disk_counts(root: Path) -> Mapping[str, DiskCount]:
    """By the kernel's name of the device. Raises Skipped."""
    return _asked(
        root,
        "proc/diskstats",
        lambda: cast("Mapping[str, DiskCount]", psutil.disk_io_counters(perdisk=True, nowrap=False) or {}),
    )


def _asked(root: Path, path: str, ask: Callable[[], T]) -> T:
    with _one_root_at_a_time:
        before = psutil.PROCFS_PATH
        psutil.PROCFS_PATH = str(root / "proc")
        try:
            return ask()
        except OSError as error:
            raise unreadable(root / path, error) from None
        except (NotImplementedError, ValueError, LookupError):
            raise Skipped(Reason.PLATFORM, f"{root / path} does not say what it should", step="read") from None
        finally:
            psutil.PROCFS_PATH = before
