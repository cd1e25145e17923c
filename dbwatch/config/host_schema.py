"""Owns what a target of `engine: host` may say of its machine, as a pydantic model. Knows no file system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints

from dbwatch.catalogue.file import Strict
from dbwatch.config.host_place import HostPlace


def _absolute(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} is not an absolute path of the machine")
    return path


VolumeName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
AbsolutePath: TypeAlias = Annotated[Path, AfterValidator(_absolute)]
GroupPath: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=400)]
TargetNames: TypeAlias = str | Annotated[list[str], Field(min_length=1)]


class HostFile(Strict):
    """`volumes` are paths of the machine, `root` is where its `/` is mounted for us, `cgroup` may hold `*`."""

    root: AbsolutePath | None = None
    volumes: dict[VolumeName, AbsolutePath] = Field(default_factory=dict, max_length=50)
    cgroup: GroupPath | None = None
    of: TargetNames | None = None

    @property
    def of_host_targets(self) -> tuple[str, ...]:
        """What it says that only a host target may say."""
        given = {"root": self.root, "volumes": self.volumes, "cgroup": self.cgroup, "of": self.of}
        return tuple(name for name, value in given.items() if value)

    @property
    def targets_there(self) -> tuple[str, ...]:
        return (self.of,) if isinstance(self.of, str) else tuple(self.of or ())

    def place(self) -> HostPlace:
        return HostPlace(self.root or Path("/"), dict(self.volumes), self.cgroup, self.targets_there)
