"""Owns looking at the named volumes, each aside and within its time, and what their mounts say. Judges nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dbwatch.config import HostPlace
from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from dbwatch.engines.host.files import Files, counts, whole
from dbwatch.engines.host.kernel import Kernel, Space
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import Reason

_looks = Aside("dbwatch-volume")
_MOST_SECONDS = 2.0
"""A volume that takes longer hangs; a healthy one answers in microseconds."""
_MEANT_TO_BE = re.compile(
    r"squashfs|erofs|iso9660|udf|cramfs|romfs|nfs4?|cifs|smb3|ceph|9p|virtiofs|glusterfs|fuse\..*|overlay"
)
"""Are read-only by nature, or because a share was mounted so; none is switched to it by a fault."""
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder of the configuration: its space, or why it cannot be told."""

    path: Path
    space: Space | None = None
    error: CheckError | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    """`options` are those of the file system itself, whatever way it is mounted into our container."""

    file_system: str
    source: str
    options: frozenset[str]


def look_at_volumes(host: HostPlace, kernel: Kernel, deadline: Deadline) -> Mapping[str, Volume]:
    """Every volume by its name. One that hangs is left behind and takes no other's time. Never raises."""
    share = min(_MOST_SECONDS, deadline.remaining / (len(host.volumes) + 1))
    return {name: _look(host.below(path), kernel, deadline.capped(share)) for name, path in host.volumes.items()}


def _look(path: Path, kernel: Kernel, deadline: Deadline) -> Volume:
    try:
        return Volume(path, space=_looks.within(deadline, path, partial(kernel.space, path)))
    except UnfinishedError:
        text = f"{path} does not answer; does its disk or network share hang?"
        return Volume(path, error=CheckError(Reason.TIMEOUT, text, step="statvfs"))
    except CrowdedError:
        text = f"{path} was not looked at: too many volumes hang already"
        return Volume(path, error=CheckError(Reason.RESOURCES, text, step="statvfs"))
    except PermissionError:
        text = f"{path} is closed to this user"
        return Volume(path, error=Skipped(Reason.PRIVILEGE, text, step="statvfs"))
    except OSError as error:
        text = f"{path} cannot be looked at: {error.strerror or error}"
        return Volume(path, error=CheckError(Reason.ERROR, text, step="statvfs"))


def mount_of(files: Files, device: str, path: Path) -> Mount | None:
    """The mount of a volume, by its device; on btrfs, whose folders have devices of their own, by the path above it."""
    longest: tuple[int, Mount] | None = None
    for line in (files.read("proc/self/mountinfo") or "").splitlines():
        left, _, right = line.partition(" - ")
        fields, after = left.split(), right.split(" ", 2)
        if len(fields) < 5 or len(after) < 3:
            continue
        mount = Mount(after[0], after[1], frozenset(after[2].split(",")))
        if fields[2] == device:
            return mount
        where = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        if (
            mount.file_system == "btrfs"
            and path.is_relative_to(where)
            and (longest is None or len(where) >= longest[0])
        ):
            longest = (len(where), mount)
    return longest[1] if longest is not None else None


def device_name(files: Files, device: str, mount: Mount | None) -> str | None:
    """The kernel's name of a volume's block device; None when there is none (a network share, memory)."""
    told = files.read(f"sys/dev/block/{device}/uevent")
    name = next((line[8:] for line in (told or "").splitlines() if line.startswith("DEVNAME=")), None)
    if name is not None or mount is None or not mount.source.startswith("/dev/"):
        return name
    return Path(os.path.realpath(files.root / mount.source.lstrip("/"))).name


def error_count(files: Files, name: str | None, mount: Mount | None) -> int | None:
    """Errors the file system has found in itself since its last repair; None where it does not count them."""
    if name is None or mount is None:
        return None
    if mount.file_system in ("ext4", "ext3", "ext2"):
        return whole(files.read(f"sys/fs/ext4/{name}/errors_count"))
    if mount.file_system == "btrfs":
        return _btrfs_errors(files, name)
    return None


def _btrfs_errors(files: Files, name: str) -> int | None:
    found: list[int] = []
    for folder in (files.root / "sys/fs/btrfs").glob("*"):
        if (folder / "devices" / name).exists():
            stats = [files.read(str(path.relative_to(files.root))) for path in folder.glob("devinfo/*/error_stats")]
            found += [sum(counts(text).values()) for text in stats if text is not None]
    return sum(found) if found else None


def is_read_only(mount: Mount) -> bool:
    """Whether a fault made it take no writes. Kernels from 6.15 on say so of an emergency by a word of its own."""
    faults = {"emergency_ro", "shutdown"}
    if _MEANT_TO_BE.fullmatch(mount.file_system) is None:
        faults.add("ro")
    return bool(mount.options & faults)
