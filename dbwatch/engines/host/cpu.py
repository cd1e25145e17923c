"""Owns the rows about cores: how busy, how long the queue, what is lost, what a quota holds back. Judges nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dbwatch.engines.host.context import HostContext
from dbwatch.engines.host.counters import cpu_time
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_LOST = {
    "iowait": "waiting for a disk, with nothing else to do",
    "steal": "taken by the hypervisor for other machines",
}


def cpu_use(context: HostContext) -> Sequence[RawRow]:
    """A row for the machine, and one for its group where a quota limits that."""
    seen = cpu_time(context.host.root)
    rows = [{"scope": "machine", "busy_seconds": seen.busy, "cpus": float(seen.cpus), "told": "cores of the machine"}]
    group = context.group
    limited = group.cpu_use() if group is not None else None
    if limited is not None and limited.used_seconds is not None and limited.cpus < seen.cpus:
        told = "cores of its quota"
        rows.append({"scope": "group", "busy_seconds": limited.used_seconds, "cpus": limited.cpus, "told": told})
    return rows


def cpu_lost(context: HostContext) -> Sequence[RawRow]:
    """A row for each way in which time of the cores is lost."""
    seen = cpu_time(context.host.root)
    highest = context.memory.of(_Highest).seconds
    return [
        {
            "state": state,
            "lost_seconds": _risen(highest, state, seconds),
            "whole_seconds": _risen(highest, "whole", seen.whole),
            "told": _LOST[state],
        }
        for state, seconds in {"iowait": seen.waiting, "steal": seen.stolen}.items()
    ]


@dataclass(slots=True)
class _Highest:
    """The kernel takes back time it had counted as waiting or stolen; a counter that falls would have started anew."""

    seconds: dict[str, float] = field(default_factory=dict)


def _risen(highest: dict[str, float], name: str, seconds: float) -> float:
    highest[name] = max(seconds, highest.get(name, seconds))
    return highest[name]


def load(context: HostContext) -> Sequence[RawRow]:
    """One row: how many processes want a core or a disk, for each core there is."""
    words = context.files.need("proc/loadavg").split()
    try:
        minute, five, fifteen = (float(word) for word in words[:3])
    except ValueError:
        raise Skipped(Reason.PLATFORM, "/proc/loadavg does not tell a load", step="read") from None
    cpus = cpu_time(context.host.root).cpus
    return (
        {
            "load_per_core": five / cpus,
            "load_now": minute,
            "load": five,
            "load_before": fifteen,
            "cpus": float(cpus),
        },
    )


def cpu_throttling(context: HostContext) -> Sequence[RawRow]:
    """One row: in how many periods the quota of the group ended its processes' time. Raises Skipped without a quota."""
    if context.group is None:
        raise Skipped(Reason.PLATFORM, "no control group is named: `cgroup:` of the target", step="read")
    seen = context.group.cpu_use()
    if seen is None:
        raise Skipped(Reason.PLATFORM, "no quota limits the group's CPU", step="read")
    if seen.periods is None or seen.throttled is None:
        raise Skipped(Reason.PLATFORM, "the kernel does not tell how often the quota struck", step="read")
    return (
        {
            "periods": seen.periods,
            "throttled": seen.throttled,
            "throttled_seconds": seen.throttled_seconds,
            "quota_cpus": seen.cpus,
        },
    )
