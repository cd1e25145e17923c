"""Owns looking at a folder of dump files: which there are, of what, and which are whole. Reads only.

Refuses to know engines, checks and thresholds. A file counts only when its end says that the writer finished: an empty,
growing or cut-off dump is the very thing a backup check is for. A file's verdict is remembered until the file changes,
so that a look costs one directory listing.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dbwatch.config import Dumps
from dbwatch.engines.dumpfile import Kind, inspect
from dbwatch.engines.dumpname import read_names

OPENED_OF_EACH = 8
"""Of each name only the newest are opened; a folder with years of dumps is still one listing."""
MOST_OPENED = 400
MOST_FILES = 20_000
SETTLED_SECONDS = 60.0
"""A file whose end cannot be judged counts once nobody has written to it for this long."""
GROWING_SECONDS = 3600.0
"""A file that is not whole and was written to within this time is a dump under way; later it is a failed one."""
FUTURE_SECONDS = 300.0
_DOUBT = "is too large to be unpacked here: whether it is whole is not known"
_TABLE_DATA = re.compile(r"\d+\.dat(\.\w+)?")
_PARTIAL_SUFFIXES = (".tmp", ".temp", ".part", ".partial", ".incomplete", ".in-progress", ".filepart", ".swp")


@dataclass(frozen=True, slots=True)
class DumpFile:
    """One file, or one folder that pg_dump wrote. `problem` says why it is no backup; None when it is.

    `growing` ones may become whole yet. What was not `opened` is older than several that were, and taken as it is;
    `known` are formats that a backup may have, `doubt` says why nobody can tell whether it is whole. What is `hidden`
    from this user says nothing, neither good nor bad.
    """

    file: str
    name: str
    dated: bool
    changed_at_seconds: float
    size_bytes: int
    problem: str | None = None
    growing: bool = False
    opened: bool = True
    known: bool = True
    doubt: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class DumpsSeen:
    """What lies in the folder, newest first. `unreadable` is set when nothing could be seen."""

    files: tuple[DumpFile, ...] = ()
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    file: str
    changed_seconds: float
    size_bytes: int
    identity: tuple[int, int]
    stamp_nanoseconds: int
    is_folder: bool
    hidden: bool = False


def scan_dumps(dumps: Dumps, now_seconds: float) -> DumpsSeen:
    """Look at the dump files as they are now. Never raises for what the disk answers."""
    try:
        entries = sorted(_distinct(dumps), key=lambda entry: -entry.changed_seconds)
    except OSError as error:
        return DumpsSeen(unreadable=f"{dumps.path} cannot be read: {error.strerror or error}")
    if len(entries) > MOST_FILES:
        return DumpsSeen(
            unreadable=f"more than {MOST_FILES} files in {dumps.path} match {dumps.pattern}: narrow `pattern`"
        )
    opened: dict[str, int] = defaultdict(int)
    files: list[DumpFile] = []
    budget = MOST_OPENED
    names = read_names([entry.file for entry in entries], dumps.databases)
    for entry, name in zip(entries, names, strict=True):
        problem, growing, kind, hidden = None, False, Kind.SQL, entry.hidden
        look = opened[name.name] < OPENED_OF_EACH and budget > 0
        if look:
            opened[name.name] += 1
            budget -= 1
            try:
                kind, problem = _problem(entry, now_seconds)
            except PermissionError:
                kind, problem, hidden = Kind.UNKNOWN, f"cannot be read: {os.strerror(errno.EACCES)}", True
            growing = problem is not None and 0 <= now_seconds - entry.changed_seconds < GROWING_SECONDS
        facts = (entry.file, name.name, name.dated, entry.changed_seconds, entry.size_bytes)
        doubt = _DOUBT if kind is Kind.ENDLESS and problem is None else None
        files.append(DumpFile(*facts, problem, growing, look, kind is not Kind.UNKNOWN, doubt, hidden))
    return DumpsSeen(tuple(files))


def _distinct(dumps: Dumps) -> list[_Entry]:
    """A "latest" link beside the file it points to is no second backup, and its name no name of its own."""
    found: dict[tuple[int, int], _Entry] = {}
    for entry in _entries(dumps):
        if entry.identity not in found or found[entry.identity].path.is_symlink():
            found[entry.identity] = entry
        if len(found) > MOST_FILES:
            break
    return list(found.values())


def _entries(dumps: Dumps) -> Iterator[_Entry]:
    """Every file that matches; the path may also be one file that each run overwrites."""
    if dumps.path.is_file():
        yield from _entry(dumps.path)
        return
    if "/" in dumps.pattern:
        dumps.path.stat()  # a glob below a missing folder is silently empty
        for path in dumps.path.glob(dumps.pattern):
            yield from _entry(path)
        return
    with os.scandir(dumps.path) as listing:
        for item in listing:
            hidden = item.name.startswith(".") and not dumps.pattern.startswith(".")
            if not hidden and fnmatch.fnmatchcase(item.name, dumps.pattern):
                yield from _entry(Path(item.path))


def _entry(path: Path) -> Iterator[_Entry]:
    """The entry, or none for what is no dump: a plain folder, a pipe, a file deleted meanwhile."""
    try:
        facts = path.stat()
        is_folder = stat.S_ISDIR(facts.st_mode)
        size = facts.st_size
        hidden = False
        if is_folder:
            try:
                folder = _folder(path)
            except PermissionError:
                hidden = path.name != "lost+found"
                folder = (size, facts) if hidden else None
            if folder is None:
                return
            size, facts = folder
        elif not stat.S_ISREG(facts.st_mode):
            return
    except OSError:
        return
    identity = (facts.st_dev, facts.st_ino)
    shown = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    yield _Entry(path, shown, facts.st_mtime, size, identity, facts.st_mtime_ns, is_folder, hidden)


def _folder(path: Path) -> tuple[int, os.stat_result] | None:
    """`pg_dump -Fd` writes a folder, and its table of contents last. None when it is not such a folder."""
    with os.scandir(path) as listing:
        files = {item.name: item.stat() for item in listing}
    if "toc.dat" not in files and not any(_TABLE_DATA.fullmatch(name) for name in files):
        return None
    size = sum(facts.st_size for facts in files.values())
    last = max(files.values(), key=lambda facts: facts.st_mtime_ns)
    return size, files.get("toc.dat", last)


def _problem(entry: _Entry, now_seconds: float) -> tuple[Kind, str | None]:
    """Its kind, and why the file does not count as a backup; None when it does. Raises PermissionError."""
    if entry.hidden:
        raise PermissionError
    if entry.file.lower().endswith(_PARTIAL_SUFFIXES):
        return Kind.SQL, "is named like an unfinished file"
    if entry.size_bytes == 0:
        return Kind.SQL, "is empty"
    if entry.changed_seconds > now_seconds + FUTURE_SECONDS:
        return Kind.SQL, "is dated in the future"
    opened = entry.path / "toc.dat" if entry.is_folder else entry.path
    if entry.is_folder and not opened.exists():
        return Kind.ARCHIVE, "is cut off: it has no table of contents"
    kind, problem = _judged(opened, entry.identity, entry.size_bytes, entry.stamp_nanoseconds)
    if problem is None and not kind.shows_its_end and now_seconds - entry.changed_seconds < SETTLED_SECONDS:
        problem = "is still being written"
    return kind, problem


@lru_cache(maxsize=10 * MOST_OPENED)
def _cached(path: Path, _identity: tuple[int, int], _size_bytes: int, _stamp: int) -> tuple[Kind, str | None]:
    return inspect(path)


def _judged(path: Path, identity: tuple[int, int], size_bytes: int, stamp: int) -> tuple[Kind, str | None]:
    try:
        return _cached(path, identity, size_bytes, stamp)
    except PermissionError:
        raise
    except OSError as error:
        return Kind.UNKNOWN, f"cannot be read: {error.strerror or error}"
