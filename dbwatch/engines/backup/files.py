"""Owns what can be seen of backups without asking a tool: dump files, markers, the proof of a restore. Judges nothing.

A folder may hold more than backups that recur: a dump somebody made before a migration, a note. Names with a date of
which there are several are a series; without any series every known file is one that each run overwrites.
"""

from __future__ import annotations

import os
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from dbwatch.config import Dumps
from dbwatch.config.backups import Marker, RestoreTest, Schedule
from dbwatch.deadline import Deadline
from dbwatch.engines.aside import Aside, CrowdedError, UnfinishedError
from dbwatch.engines.backup.planned import Planned
from dbwatch.engines.backup.record import Backup, Kind, Seen, SourceName, State, Trouble
from dbwatch.engines.dumps import FUTURE_SECONDS, DumpFile, DumpsSeen, scan_dumps
from dbwatch.errors import CheckError
from dbwatch.model import Reason

T = TypeVar("T")
_looks = Aside("dbwatch-dumps")


@dataclass(frozen=True, slots=True)
class DumpsSource:
    """A folder of dump files."""

    dumps: Dumps
    name: str = ""

    @property
    def source(self) -> SourceName:
        return SourceName.DUMPS

    def look(self, deadline: Deadline) -> Seen:
        now = time.time()
        seen = _aside(deadline, self.dumps, partial(scan_dumps, self.dumps, now), self.dumps.path)
        return dumps_report(self.dumps, seen, now, self.name)


def planned_dumps(dumps: Dumps, name: str = "") -> Planned:
    """The folder with what is expected of it."""
    schedule = Schedule(dumps.every, dumps.every, None, dumps.retention, dumps.keep)
    return Planned(DumpsSource(dumps, name), schedule, dumps.databases, dumps.pattern)


def dumps_report(dumps: Dumps, seen: DumpsSeen, now_seconds: float, name: str = "") -> Seen:
    """What lies in the folder, as a report. Raises CheckError when it cannot be seen: unknown is not "no backup"."""
    if seen.unreadable is not None:
        raise CheckError(Reason.ERROR, f"{seen.unreadable}; no backup can be seen", step="list")
    series = _series(dumps, seen.files)
    _refuse_hidden([file for file in seen.files if file.name in series], dumps.path)
    return Seen(
        SourceName.DUMPS,
        name,
        as_of_seconds=now_seconds,
        backups=tuple(_backup(file) for file in seen.files if file.name in series),
        command=f"ls -lt {shlex.quote(str(dumps.path))}",
    )


def _refuse_hidden(files: Sequence[DumpFile], path: Path) -> None:
    """A dump that this user may not read may well be whole. Older ones than a whole one do not matter."""
    settled: set[str] = set()
    for file in files:
        if file.hidden and file.name not in settled:
            text = f"{file.file} may not be read by the user dbwatch runs as: whether it is a whole backup is not known"
            where = shlex.quote(str(path))
            remedy = f"setfacl -R -m u:{os.getuid()}:rX -m d:u:{os.getuid()}:rX {where}   # let it read them"
            raise CheckError(Reason.PRIVILEGE, text, step="read", remedy=remedy)
        if file.problem is None:
            settled.add(file.name)


def _backup(file: DumpFile) -> Backup:
    state = State.DONE if file.problem is None else State.RUNNING if file.growing else State.FAILED
    return Backup(
        Kind.DUMP,
        file.file,
        state,
        name=file.name,
        finished_at_seconds=file.changed_at_seconds,
        size_bytes=file.size_bytes,
        error=file.problem,
        doubt=file.doubt,
    )


def _series(dumps: Dumps, files: Sequence[DumpFile]) -> frozenset[str]:
    """The names that stand for a backup which recurs."""
    if dumps.databases:
        return frozenset(dumps.databases)
    by_name: dict[str, list[DumpFile]] = defaultdict(list)
    for file in files:
        by_name[file.name].append(file)
    recurring = {name for name, own in by_name.items() if sum(file.dated for file in own) > 1}
    if recurring:
        return frozenset(recurring | _young_beside(recurring, by_name))
    known = {name for name, own in by_name.items() if any(file.known or file.dated for file in own)}
    return frozenset(known or by_name)


def _young_beside(recurring: set[str], by_name: Mapping[str, Sequence[DumpFile]]) -> set[str]:
    """A name seen for the first time is a new series as long as it is as fresh as the others."""
    freshest = min(max(file.changed_at_seconds for file in by_name[name]) for name in recurring)
    return {
        name
        for name, own in by_name.items()
        if name not in recurring and own[0].dated and own[0].changed_at_seconds >= freshest
    }


@dataclass(frozen=True, slots=True)
class MarkerSource:
    """A file that is touched when something is done; its time is all it tells."""

    path: Path
    name: str = ""
    source: SourceName = SourceName.MARKER

    @classmethod
    def of_marker(cls, marker: Marker) -> MarkerSource:
        return cls(marker.path, marker.name)

    @classmethod
    def of_restore_test(cls, tested: RestoreTest) -> MarkerSource:
        return cls(tested.path, source=SourceName.RESTORE_TEST)

    def look(self, deadline: Deadline) -> Seen:
        touched = _aside(deadline, self.path, partial(_touched_at, self.path), self.path)
        now = time.time()
        kind = Kind.RESTORE_TEST if self.source is SourceName.RESTORE_TEST else Kind.MARKER
        command = f"ls -l {shlex.quote(str(self.path))}"
        if touched is not None and touched > now + FUTURE_SECONDS:
            trouble = Trouble(f"{self.path.name} is dated in the future: its time proves nothing")
            return Seen(self.source, self.name, now, troubles=(trouble,), command=command)
        backups = () if touched is None else (Backup(kind, self.path.name, finished_at_seconds=touched),)
        return Seen(self.source, self.name, now, backups=backups, command=command)


def _touched_at(path: Path) -> float | None:
    """When the file was changed; None when there is none. A folder that is not there is not an answer."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        return None


def _aside(deadline: Deadline, key: Hashable, look: Callable[[], T], path: Path) -> T:
    try:
        return _looks.within(deadline, key, look)
    except UnfinishedError:
        message = f"{path} did not answer in time; does its disk or network share hang?"
        raise CheckError(Reason.TIMEOUT, message, step="list") from None
    except CrowdedError:
        raise CheckError(Reason.RESOURCES, "too many folders hang already", step="list") from None
    except OSError as error:
        text = f"{path} cannot be looked at: {error.strerror or error}"
        raise CheckError(Reason.ERROR, text, step="list") from None
