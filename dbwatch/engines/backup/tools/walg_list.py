"""Owns what WAL-G's JSON means, of the key sets it has had. Pure.

A backup's time was `modification_time` and `creation_time`, then `time`; with --detail come `start_time` and
`finish_time`. A time that is not known is written as the year 1. A delta backup is one by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbwatch.engines.backup.record import Archive, Backup, Gap, Kind, Repository, Seen, SourceName, Trouble
from dbwatch.engines.backup.tools.complaint import clean
from dbwatch.engines.backup.tools.document import Node
from dbwatch.engines.backup.tools.walname import name_after

_DELTA = re.compile(r"base_[0-9A-F]{24}_D_([0-9A-F]{24})")
_LOST = "LOST_SEGMENTS"
_MOST_NAMED = 3


def seen_of(
    listed: Node,
    log: Node | None,
    name: str,
    as_of_seconds: float,
    command: str,
    silence: Trouble | None = None,
) -> Seen:
    """The report about one storage. `log` is what wal-show told, None when it was not asked or told nothing."""
    backups = tuple(_backup(node) for node in listed)
    places = sorted({backup.repository for backup in backups}) or [""]
    nothing = None if backups else "WAL-G sees no backup in its storage"
    return Seen(
        source=SourceName.WALG,
        name=name,
        as_of_seconds=as_of_seconds,
        system_identifier=next((b.system_identifier for b in reversed(backups) if b.system_identifier), None),
        repositories=tuple(Repository(place, problem=nothing) for place in places),
        backups=backups,
        archives=None if log is None else tuple(_archives(log)),
        gaps=() if log is None else tuple(_gaps(log)),
        troubles=(silence,) if silence else (),
        command=command,
    )


def _backup(node: Node) -> Backup:
    label = node.first("backup_name", "name").text or "unnamed"
    delta = _DELTA.match(label)
    storage = node["storage_name"].text or ""
    first = node.first("wal_file_name", "wal_segment_backup_start").wal_name
    return Backup(
        kind=Kind.INCREMENTAL if delta else Kind.FULL,
        label=clean(label),
        repository="" if storage == "default" else clean(storage),
        started_at_seconds=node["start_time"].moment_seconds,
        finished_at_seconds=_finished(node),
        size_bytes=node["uncompressed_size"].size_bytes or None,
        stored_bytes=node["compressed_size"].size_bytes or None,
        first_wal=first,
        last_wal=_last_wal(node, first),
        reference=f"base_{delta[1]}" if delta else None,
        permanent=bool(node["is_permanent"].flag),
        system_identifier=node["system_identifier"].text,
    )


def _finished(node: Node) -> float | None:
    moments = (node[key].moment_seconds for key in ("finish_time", "time", "modification_time", "last_modified"))
    return next((moment for moment in moments if moment is not None), None)


def _last_wal(node: Node, first: str | None) -> str | None:
    start, finish = _position(node["start_lsn"]), _position(node["finish_lsn"])
    if first is None or start is None or finish is None:
        return None
    return name_after(first, start, finish)


def _position(node: Node) -> int | None:
    """A place in the log: a number, or the server's own way of writing it (0/2000028)."""
    text = node.text
    if text is None:
        return None
    high, slash, low = text.partition("/")
    try:
        return (int(high, 16) << 32) + int(low, 16) if slash else int(text)
    except ValueError:
        return None


def _archives(log: Node) -> Iterator[Archive]:
    for node in log:
        first, last = node["start_segment"].wal_name, node["end_segment"].wal_name
        if last is not None:
            yield Archive(first_wal=first, last_wal=last)


def _gaps(log: Node) -> Iterator[Gap]:
    for node in log:
        missing = [name for entry in node["missing_segments"] if (name := entry.wal_name)]
        if missing or node["status"].text == _LOST:
            few = ", ".join(missing[:_MOST_NAMED]) + (", …" if len(missing) > _MOST_NAMED else "")
            which = f" lacks {len(missing)} files of log: {few}" if missing else ": files of log are lost"
            text = f"timeline {node['id'].text or '?'}{which}"
            yield Gap(text, missing_files=len(missing) or None)
