"""Owns looking at a folder of dump files: which are whole, how old and how big the newest is. Reads only.

Refuses to know engines, checks and thresholds. A file counts only when its end says that the writer
finished: an empty, growing or cut-off dump is the very thing a backup check is for. A file's verdict is
remembered until the file changes, so that a look costs one directory listing.
"""

from __future__ import annotations

import fnmatch
import heapq
import os
import stat
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dbwatch.config.target import Dumps
from dbwatch.engines.dumpfile import Kind, inspect

MOST_FILES = 200
"""Only the newest are opened; a folder with years of dumps is still one listing."""
SETTLED_SECONDS = 60.0
"""A file whose end cannot be judged counts once nobody has written to it for this long."""
FUTURE_SECONDS = 300.0
_COMPARED = 5
_PARTIAL_SUFFIXES = (".tmp", ".temp", ".part", ".partial", ".incomplete", ".in-progress", ".filepart", ".swp")


@dataclass(frozen=True, slots=True)
class DumpsSeen:
    """What lies in the folder. `newest_*` speak of the newest whole dump, the times are Unix seconds.

    `usual_bytes` is the median size of up to five whole dumps before it. `incomplete` counts files that
    match and are not whole, `problem` says what is wrong with the newest of them. `unreadable` is set when
    nothing could be seen.
    """

    newest_at_seconds: float | None = None
    newest_bytes: int | None = None
    newest_name: str | None = None
    usual_bytes: float | None = None
    complete: int = 0
    incomplete: int = 0
    problem: str | None = None
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    name: str
    changed_seconds: float
    size_bytes: int
    identity: tuple[int, int]
    stamp_nanoseconds: int
    is_folder: bool


def scan_dumps(dumps: Dumps, now_seconds: float) -> DumpsSeen:
    """Look at the dump files as they are now. Never raises for what the disk answers."""
    try:
        entries = heapq.nlargest(MOST_FILES, _entries(dumps), key=lambda entry: entry.changed_seconds)
    except OSError as error:
        return DumpsSeen(unreadable=f"{dumps.path} cannot be read: {error.strerror or error}")
    whole: list[_Entry] = []
    problems: list[str] = []
    seen: set[tuple[int, int]] = set()
    for entry in entries:
        if entry.identity in seen:  # a "latest" link beside the file it points to
            continue
        seen.add(entry.identity)
        problem = _problem(entry, now_seconds)
        if problem is None:
            whole.append(entry)
        else:
            problems.append(f"{entry.name} {problem}")
    first_problem = problems[0] if problems else None
    if not whole:
        return DumpsSeen(incomplete=len(problems), problem=first_problem)
    newest, before = whole[0], whole[1 : _COMPARED + 1]
    return DumpsSeen(
        newest_at_seconds=newest.changed_seconds,
        newest_bytes=newest.size_bytes,
        newest_name=newest.name,
        usual_bytes=statistics.median(entry.size_bytes for entry in before) if before else None,
        complete=len(whole),
        incomplete=len(problems),
        problem=first_problem,
    )


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
        if is_folder:
            size, facts = _folder(path)
        elif not stat.S_ISREG(facts.st_mode):
            return
    except OSError:
        return
    identity = (facts.st_dev, facts.st_ino)
    yield _Entry(path, path.name, facts.st_mtime, size, identity, facts.st_mtime_ns, is_folder)


def _folder(path: Path) -> tuple[int, os.stat_result]:
    """`pg_dump -Fd` writes a folder, and its table of contents last. OSError when it is not such a folder."""
    contents = path / "toc.dat"
    facts = contents.stat()
    with os.scandir(path) as listing:
        return sum(item.stat().st_size for item in listing), facts


def _problem(entry: _Entry, now_seconds: float) -> str | None:
    """Why the file does not count as a backup; None when it does."""
    if entry.name.lower().endswith(_PARTIAL_SUFFIXES):
        return "is named like an unfinished file"
    if entry.size_bytes == 0:
        return "is empty"
    if entry.changed_seconds > now_seconds + FUTURE_SECONDS:
        return "is dated in the future"
    opened = entry.path / "toc.dat" if entry.is_folder else entry.path
    kind, problem = _judged(opened, entry.identity, entry.size_bytes, entry.stamp_nanoseconds)
    if problem is not None:
        return problem
    if kind is Kind.UNKNOWN and now_seconds - entry.changed_seconds < SETTLED_SECONDS:
        return "is still being written"
    return None


@lru_cache(maxsize=4 * MOST_FILES)
def _cached(path: Path, _identity: tuple[int, int], _size_bytes: int, _stamp: int) -> tuple[Kind, str | None]:
    return inspect(path)


def _judged(path: Path, identity: tuple[int, int], size_bytes: int, stamp: int) -> tuple[Kind, str | None]:
    try:
        return _cached(path, identity, size_bytes, stamp)
    except OSError as error:
        return Kind.UNKNOWN, f"cannot be read: {error.strerror or error}"
