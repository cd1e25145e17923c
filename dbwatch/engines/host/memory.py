"""Owns the rows about memory: what is left, swapping, kills, and what processes wait for. Judges nothing."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence

from dbwatch.engines.host.context import HostContext
from dbwatch.engines.host.counters import machine_memory
from dbwatch.engines.host.files import counts
from dbwatch.engines.host.groups import Group
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_KILOBYTES = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)
_ZFS = re.compile(r"^(size|c_min)\s+\d+\s+(\d+)$", re.MULTILINE)
_TOTAL = re.compile(r"^(some|full) .*total=(\d+)$", re.MULTILINE)
_RESOURCES = ("cpu", "memory", "io")


def memory_use(context: HostContext) -> Sequence[RawRow]:
    """A row for the machine, and one for its group where that is limited."""
    seen = machine_memory(context.host.root)
    available = min(seen.total_bytes, seen.available_bytes + _cache_of_zfs(context))
    rows: list[RawRow] = [
        {
            "scope": "machine",
            "used_bytes": seen.total_bytes - available,
            "limit_bytes": seen.total_bytes,
            "working_set_bytes": None,
            "told": "the machine has",
        }
    ]
    group = context.group
    limited = group.memory_use() if group is not None else None
    if limited is not None and limited.limit_bytes < seen.total_bytes:
        rows.append(
            {
                "scope": "group",
                "used_bytes": limited.used_bytes,
                "limit_bytes": limited.limit_bytes,
                "working_set_bytes": limited.working_set_bytes,
                "told": "its control group may have",
            }
        )
    return rows


def _cache_of_zfs(context: HostContext) -> float:
    """What ZFS gives back when asked: its cache of files, which the kernel does not count as available."""
    told = dict(_ZFS.findall(context.files.read("proc/spl/kstat/zfs/arcstats") or ""))
    return max(0.0, float(told.get("size", 0)) - float(told.get("c_min", 0)))


def swapping(context: HostContext) -> Sequence[RawRow]:
    """One row: what was written to swap and read back since the machine started, and how full it is."""
    moved = counts(context.files.need("proc/vmstat"))
    if "pswpin" not in moved:
        raise Skipped(Reason.PLATFORM, "the kernel does not count what it swaps", step="read")
    amounts = {name: int(kilobytes) * 1024.0 for name, kilobytes in _KILOBYTES.findall(_meminfo(context))}
    total, free = amounts.get("SwapTotal"), amounts.get("SwapFree")
    return (
        {
            "read_bytes": float(moved["pswpin"] * mmap.PAGESIZE),
            "written_bytes": float(moved.get("pswpout", 0) * mmap.PAGESIZE),
            "used_bytes": None if total is None or free is None else total - free,
            "size_bytes": total,
        },
    )


def _meminfo(context: HostContext) -> str:
    return context.files.read("proc/meminfo") or ""


def oom_kills(context: HostContext) -> Sequence[RawRow]:
    """A row for the machine and one for the group: processes that were killed for want of memory."""
    whole = counts(context.files.read("proc/vmstat") or "").get("oom_kill")
    group = context.group
    of_group = group.oom_kills() if group is not None else None
    rows = [
        {"scope": scope, "kills": float(kills), "told": told}
        for scope, kills, told in (("machine", whole, "on this machine"), ("group", of_group, "in its control group"))
        if kills is not None
    ]
    if not rows:
        raise Skipped(Reason.PLATFORM, "the kernel does not count the processes it kills", step="read")
    return rows


def pressure(context: HostContext) -> Sequence[RawRow]:
    """A row for each resource: how long some, and all, processes have waited for it."""
    rows = list(_pressures(context, context.group))
    if not rows:
        text = f"{context.host.root / 'proc/pressure'} is not there: this kernel does not measure pressure"
        raise Skipped(Reason.PLATFORM, text, step="read")
    return rows


def _pressures(context: HostContext, group: Group | None) -> Iterator[RawRow]:
    for scope in ("machine", "group"):
        for resource in _RESOURCES:
            text = context.files.read(f"proc/pressure/{resource}")
            if scope == "group":
                text = group.pressure(resource) if group is not None else None
            waited = {who: int(total) / 1e6 for who, total in _TOTAL.findall(text or "")}
            if "some" in waited:
                yield {
                    "scope": scope,
                    "resource": resource,
                    "some_seconds": waited["some"],
                    "full_seconds": waited.get("full"),
                }
