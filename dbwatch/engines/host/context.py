"""Owns what a probe of the host gets to see: files below a root, the kernel's calls, the group, the volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dbwatch.config import HostPlace
from dbwatch.engines.host.files import Files
from dbwatch.engines.host.groups import Group
from dbwatch.engines.host.kernel import Kernel
from dbwatch.engines.host.volumes import Volume
from dbwatch.engines.memory import Memory
from dbwatch.model import RawRow


@dataclass(frozen=True, slots=True)
class HostContext:
    """`group` and `volumes` are those that the configuration names; None, and without space, when they cannot be seen.

    `observed_seconds` is for how long this machine has been watched, `memory` what its probes remember of it.
    """

    host: HostPlace
    files: Files
    kernel: Kernel
    group: Group | None
    volumes: Mapping[str, Volume]
    observed_seconds: float
    memory: Memory


Probe: TypeAlias = Callable[[HostContext], Sequence[RawRow]]
