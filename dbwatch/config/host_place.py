"""Owns the settled description of a machine that is watched: where its files and volumes are. Opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class HostPlace:
    """A machine whose `/` is at `root`.

    `volumes` are folders of it by name, `cgroup` is the control group of its databases, below /sys/fs/cgroup, and `of`
    are the targets that run there.
    """

    root: Path = Path("/")
    volumes: Mapping[str, Path] = field(default_factory=dict)
    cgroup: str | None = None
    of: tuple[str, ...] = ()

    def below(self, path: Path) -> Path:
        """Where we see a path of the machine."""
        return self.root / path.relative_to("/") if path.is_absolute() else self.root / path
