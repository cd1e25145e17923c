"""Owns the words all backup sources speak: backups, archived log, repositories, promises. Knows no tool.

A source reports facts and judges nothing: no age, no threshold, no schedule. Times are Unix seconds. None means "the
source does not tell", never "none" or zero; an empty tuple means "looked, and there is none".

The tools live in `engines.backup.tools`; its `tool_sources(backups: Backups) -> tuple[Source, ...]` makes one Source of
every tool a target names. Dump files, markers and restore tests are `engines.backup.files`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from dbwatch.deadline import Deadline


class SourceName(StrEnum):
    """Where a report comes from; the label `source`."""

    DUMPS = "dumps"
    PGBACKREST = "pgbackrest"
    BARMAN = "barman"
    WALG = "walg"
    MARKER = "marker"
    RESTORE_TEST = "restore_test"


class Kind(StrEnum):
    """What a backup holds; the label `kind`."""

    FULL = "full"
    DIFFERENTIAL = "diff"
    INCREMENTAL = "incr"
    DUMP = "dump"
    WAL = "wal"
    MARKER = "marker"
    RESTORE_TEST = "restore_test"

    @property
    def is_base(self) -> bool:
        """Whether archived log can be replayed onto it."""
        return self in (Kind.FULL, Kind.DIFFERENTIAL, Kind.INCREMENTAL)


class State(StrEnum):
    """How far a backup got. Only `DONE` counts as a backup."""

    DONE = "done"
    FAILED = "failed"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup the source knows.

    `label` is the source's own name of it (evidence, never a metric label). `name` groups what belongs together inside
    one source: of dumps the file name before its date; empty for tools, whose `Seen.name` says it. `size_bytes` is what
    it holds, `stored_bytes` what it takes in the repository. `damage` says in words why a finished backup is not to be
    trusted (page checksum errors, a missing file), `error` why one failed, `doubt` what of a finished one is not known.
    `first_wal` is what it needs to become consistent, `last_wal` how far it reaches by itself: names of 24 hexadecimal
    digits. `reference` is the label of the backup a differential or incremental one leans on. `permanent` ones are
    kept whatever the retention says.
    """

    kind: Kind
    label: str
    state: State = State.DONE
    repository: str = ""
    name: str = ""
    started_at_seconds: float | None = None
    finished_at_seconds: float | None = None
    size_bytes: int | None = None
    stored_bytes: int | None = None
    error: str | None = None
    damage: str | None = None
    doubt: str | None = None
    first_wal: str | None = None
    last_wal: str | None = None
    reference: str | None = None
    permanent: bool = False
    database: str | None = None
    system_identifier: str | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """A place where a source keeps backups; `name` is "" where the tool has only one.

    `problem` says in words why it cannot be trusted now (missing stanza, no valid backup, mismatch), `unreachable`
    that it could not be looked at, so that nothing said about it is known.
    """

    name: str = ""
    problem: str | None = None
    unreachable: str | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """Archived log of one timeline (or of all, as the tool tells) in one repository. Names of 24 hexadecimal digits."""

    repository: str = ""
    first_wal: str | None = None
    last_wal: str | None = None
    last_at_seconds: float | None = None
    system_identifier: str | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Log that is missing between two archived files, in words a person can use, and how many files if known."""

    text: str
    repository: str = ""
    missing_files: int | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """A backup under way. `done_bytes` of `total_bytes` where the tool tells its progress."""

    kind: Kind | None = None
    since_seconds: float | None = None
    repository: str = ""
    done_bytes: int | None = None
    total_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    """What the tool's own configuration promises to keep: at least so many full backups, at least for so long."""

    full_backups: int | None = None
    seconds: float | None = None
    repository: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something the tool itself calls wrong. `failed` is an error; otherwise it is a complaint that can wait."""

    text: str
    failed: bool = True
    repository: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one source told at one look.

    `name` is the stanza, the server, the folder's or the marker's name. `as_of_seconds` is when the facts were true:
    now for a tool that was run, the file's time for output recorded elsewhere. `command` is what a person may run to
    see the same. `archives` is None when the source knows nothing of archived log, and empty when it looked and there
    is none.
    """

    source: SourceName
    name: str = ""
    as_of_seconds: float | None = None
    system_identifier: str | None = None
    version: str | None = None
    repositories: tuple[Repository, ...] = ()
    backups: tuple[Backup, ...] = ()
    archives: tuple[Archive, ...] | None = None
    gaps: tuple[Gap, ...] = ()
    running: tuple[Running, ...] = ()
    retention: tuple[Retention, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    command: str | None = None


class Source(Protocol):
    """One place to ask about backups."""

    @property
    def source(self) -> SourceName: ...

    @property
    def name(self) -> str:
        """The same as in what it reports."""
        ...

    def look(self, deadline: Deadline) -> Seen:
        """Ask, within the deadline. Raises CheckError, with its reason and a remedy, when nothing could be seen:
        no such command, no answer in time, an answer that cannot be read. What the tool says is wrong (no stanza,
        repository gone, failed backup) is an answer and is reported, not raised.
        """
        ...
