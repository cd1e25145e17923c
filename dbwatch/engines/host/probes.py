"""Owns the list of host probes: what a check file may name under `probe:`."""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.engines.host import cpu, memory, storage, system
from dbwatch.engines.host.context import Probe

OF_VOLUMES: Mapping[str, Probe] = {
    "disks": storage.disks,
    "file_systems": storage.file_systems,
    "volume_filling": storage.filling,
    "volume_inodes": storage.inodes,
    "volume_reachable": storage.reachable,
    "volume_space": storage.space,
}
"""Those that look at the volumes, and so have nothing to look at without any."""

OF_GROUPS: Mapping[str, Probe] = {
    "cpu_throttling": cpu.cpu_throttling,
    "cpu_use": cpu.cpu_use,
    "memory_use": memory.memory_use,
    "oom_kills": memory.oom_kills,
    "pressure": memory.pressure,
}
"""Those that look at the control group too."""

PROBES: Mapping[str, Probe] = {
    **OF_VOLUMES,
    **OF_GROUPS,
    "clock": system.clock,
    "cpu_lost": cpu.cpu_lost,
    "file_handles": system.file_handles,
    "load": cpu.load,
    "swapping": memory.swapping,
}
