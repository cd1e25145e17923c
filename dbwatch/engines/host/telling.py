"""Owns what the servers on a machine are told: its memory and cores within the limits of their group, its volumes."""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.config import HostPlace
from dbwatch.engines.host.counters import cpu_time, machine_memory
from dbwatch.engines.host.files import Files
from dbwatch.engines.host.groups import Group, find_group
from dbwatch.engines.host.volumes import Volume
from dbwatch.engines.hosts import HostTold, VolumeSpace
from dbwatch.errors import CheckError


def told_of(host: str, place: HostPlace, files: Files, volumes: Mapping[str, Volume]) -> HostTold:
    """What cannot be read is not told. Never raises."""
    try:
        group = find_group(files, place.cgroup)
    except CheckError:
        # The group was named because its limits are the real ones: without them nothing true can be said.
        return HostTold(host, volumes=_spaces(place, volumes))
    return HostTold(host, _memory(place, group), _cpus(place, group), _spaces(place, volumes))


def _memory(place: HostPlace, group: Group | None) -> float | None:
    try:
        whole = machine_memory(place.root).total_bytes
        limited = group.memory_use() if group is not None else None
    except CheckError:
        return None
    return whole if limited is None else min(whole, limited.limit_bytes)


def _cpus(place: HostPlace, group: Group | None) -> float | None:
    try:
        whole = float(cpu_time(place.root).cpus)
        limited = group.cpu_use() if group is not None else None
    except CheckError:
        return None
    return whole if limited is None else min(whole, limited.cpus)


def _spaces(place: HostPlace, volumes: Mapping[str, Volume]) -> dict[str, VolumeSpace]:
    return {
        name: VolumeSpace(
            str(place.volumes[name]), seen.space.used_bytes + seen.space.available_bytes, seen.space.available_bytes
        )
        for name, seen in volumes.items()
        if seen.space is not None
    }
