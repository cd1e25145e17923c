"""Owns the settled description of where a target's backups are to be looked for, and when they are due."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DAY = 86_400.0
DAILY = DAY
WEEKLY = 7 * DAY
QUARTERLY = 90 * DAY


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the owner promises. `every` holds for a backup of any type, `full_every` for a full one.

    `wal_every` is how much time a restore may miss; None leaves it to the server's archive_timeout. `keep` full
    backups, over at least `retention` seconds, are to be there; None leaves either to what the tool says of itself.
    """

    every: float = DAILY
    full_every: float = WEEKLY
    wal_every: float | None = None
    retention: float | None = None
    keep: int | None = None


@dataclass(frozen=True, slots=True)
class Dumps:
    """Where dump files lie and how often a new one is due. `databases` are those of which there has to be one."""

    path: Path
    pattern: str = "*"
    every: float = DAILY
    retention: float | None = None
    keep: int | None = None
    databases: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pgbackrest:
    """One stanza. `command` is an argument list: the program, and what has to stand before its own arguments.

    With `recorded` nothing is run: the file holds what `pgbackrest info --output=json` printed elsewhere.
    """

    stanza: str
    command: tuple[str, ...] = ("pgbackrest",)
    config_file: Path | None = None
    recorded: Path | None = None
    schedule: Schedule = Schedule()


@dataclass(frozen=True, slots=True)
class Barman:
    """One server of Barman's."""

    server: str
    command: tuple[str, ...] = ("barman",)
    config_file: Path | None = None
    schedule: Schedule = Schedule()


@dataclass(frozen=True, slots=True)
class Walg:
    """A storage of WAL-G's. `env_file` has lines NAME=value, `recorded` what `backup-list` printed elsewhere."""

    name: str = ""
    command: tuple[str, ...] = ("wal-g",)
    config_file: Path | None = None
    env_file: Path | None = None
    recorded: Path | None = None
    schedule: Schedule = Schedule()


@dataclass(frozen=True, slots=True)
class Marker:
    """A file that something else touches when a backup of its own is done."""

    path: Path
    every: float = DAILY
    name: str = ""


@dataclass(frozen=True, slots=True)
class MarkerTable:
    """A column of a table whose newest moment says when something else's backup was done."""

    table: str
    column: str
    schema: str = "public"
    every: float = DAILY
    name: str = ""


@dataclass(frozen=True, slots=True)
class RestoreTest:
    """A file that is touched when a restore of these backups was proven."""

    path: Path
    every: float = QUARTERLY


@dataclass(frozen=True, slots=True)
class Backups:
    """Every source of one target. `server` is the name of the PostgreSQL target they are backups of."""

    dumps: tuple[Dumps, ...] = ()
    pgbackrest: tuple[Pgbackrest, ...] = ()
    barman: tuple[Barman, ...] = ()
    walg: tuple[Walg, ...] = ()
    markers: tuple[Marker, ...] = ()
    tables: tuple[MarkerTable, ...] = ()
    restore_test: RestoreTest | None = None
    server: str | None = None

    @property
    def address(self) -> str:
        """Where they are, for people."""
        places = [
            *(str(dumps.path) for dumps in self.dumps),
            *(f"pgbackrest {tool.stanza}" for tool in self.pgbackrest),
            *(f"barman {tool.server}" for tool in self.barman),
            *(f"wal-g {tool.name}".strip() for tool in self.walg),
            *(str(marker.path) for marker in self.markers),
        ]
        return ", ".join(places)
