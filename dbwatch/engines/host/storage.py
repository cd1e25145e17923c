"""Owns the rows about volumes and the disks below them. Judges nothing.

A volume that does not answer is a row of `volume_unreachable`; elsewhere it is missing, and told as not looked at.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from dbwatch.engines.host.context import HostContext
from dbwatch.engines.host.counters import disk_counts
from dbwatch.engines.host.kernel import Space
from dbwatch.engines.host.volumes import Mount, device_name, error_count, is_read_only, mount_of
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason

_AWAY = (Reason.TIMEOUT, Reason.ERROR)
_MILLISECONDS = 1000.0


def reachable(context: HostContext) -> Sequence[RawRow]:
    """A row for each volume that this user may look at: whether it answers."""
    return [
        {
            "volume": name,
            "answers": float(volume.error is None),
            "told": f"{volume.path} answers" if volume.error is None else str(volume.error),
            "path": shlex.quote(str(volume.path)),
        }
        for name, volume in context.volumes.items()
        if volume.error is None or volume.error.reason in _AWAY
    ]


def space(context: HostContext) -> Sequence[RawRow]:
    """A row for each volume: bytes in use, and bytes that a server may still take."""
    return [
        {
            "volume": name,
            "used_bytes": seen.used_bytes,
            "available_bytes": seen.available_bytes,
            "path": shlex.quote(str(context.volumes[name].path)),
        }
        for name, seen in _seen(context)
    ]


def filling(context: HostContext) -> Sequence[RawRow]:
    """A row for each volume: the share in use, for a forecast, and how long we have looked."""
    return [
        {
            "volume": name,
            "used_ratio": seen.used_bytes / (seen.used_bytes + seen.available_bytes),
            "available_bytes": seen.available_bytes,
            "observed_seconds": context.observed_seconds,
            "path": shlex.quote(str(context.volumes[name].path)),
        }
        for name, seen in _seen(context)
        if seen.used_bytes + seen.available_bytes > 0
    ]


def inodes(context: HostContext) -> Sequence[RawRow]:
    """A row for each volume whose file system has a fixed number of inodes."""
    return [
        {
            "volume": name,
            "inodes_used": seen.inodes_used,
            "inodes_free": seen.inodes_free,
            "path": shlex.quote(str(context.volumes[name].path)),
        }
        for name, seen in _seen(context)
        if seen.inodes_used is not None
    ]


def file_systems(context: HostContext) -> Sequence[RawRow]:
    """A row for each volume whose mount can be seen: whether it takes writes, and the errors it has counted."""
    rows: list[RawRow] = []
    for name, seen in _seen(context):
        mount, device = _place(context, name, seen)
        if mount is None:
            continue
        errors = error_count(context.files, device, mount)
        told = "takes writes, and has found itself damaged" if errors else "takes writes"
        rows.append(
            {
                "volume": name,
                "read_only": float(is_read_only(mount)),
                "errors": errors,
                "device": device or mount.source,
                "told": "takes no writes" if is_read_only(mount) else told,
            }
        )
    if not rows and context.volumes:
        raise Skipped(Reason.PLATFORM, "/proc/self/mountinfo does not tell how the volumes are mounted", step="read")
    return rows


def disks(context: HostContext) -> Sequence[RawRow]:
    """A row for each disk that a volume is on. Raises Skipped when they are on none that the kernel counts for."""
    volumes: dict[str, list[str]] = {}
    for name, seen in _seen(context):
        _, device = _place(context, name, seen)
        if device is not None:
            volumes.setdefault(device, []).append(name)
    counted = disk_counts(context.host.root)
    rows = [
        {
            "device": device,
            "reads": float(count.read_count),
            "writes": float(count.write_count),
            "read_seconds": count.read_time / _MILLISECONDS,
            "write_seconds": count.write_time / _MILLISECONDS,
            "busy_seconds": count.busy_time / _MILLISECONDS,
            "volumes": ", ".join(names),
        }
        for device, names in volumes.items()
        if (count := counted.get(device)) is not None
    ]
    if not rows:
        raise Skipped(Reason.PLATFORM, "no volume is on a disk of this machine that the kernel counts for", step="read")
    return rows


def _place(context: HostContext, name: str, seen: Space) -> tuple[Mount | None, str | None]:
    mount = mount_of(context.files, seen.device, context.volumes[name].path)
    return mount, device_name(context.files, seen.device, mount)


def _seen(context: HostContext) -> list[tuple[str, Space]]:
    return [(name, volume.space) for name, volume in context.volumes.items() if volume.space is not None]
