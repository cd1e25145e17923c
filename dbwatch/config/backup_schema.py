"""Owns the part of `dbwatch.yaml` that says where backups are: its models, and settling them. Opens nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from dbwatch.catalogue.file import Strict
from dbwatch.config.backups import (
    DAILY,
    QUARTERLY,
    WEEKLY,
    Backups,
    Barman,
    Dumps,
    Marker,
    MarkerTable,
    Pgbackrest,
    RestoreTest,
    Schedule,
    Walg,
)
from dbwatch.model import Engine
from dbwatch.units import duration_text, parse_duration

HOUR = 3600.0

Long: TypeAlias = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=3660 * 86_400)]


def _no_bare_number(seconds: float) -> float:
    """`30` is thirty seconds wherever a time is written, and would be a promise that is always kept."""
    if seconds < HOUR:
        raise ValueError(f"{duration_text(seconds)} is no time to keep a backup for: write 30d for thirty days")
    return seconds


Kept: TypeAlias = Annotated[Long, AfterValidator(_no_bare_number)]
Word: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Label: TypeAlias = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^-\x00-\x1f][^\x00-\x1f]*$")]
Command: TypeAlias = Annotated[list[Word], Field(min_length=1, max_length=20)]
Keep: TypeAlias = Annotated[int, Field(ge=1, le=10_000)]


class DumpsFile(Strict):
    """Dump files. `databases` are the names before the date of which there has to be a dump."""

    path: Path
    pattern: Word = "*"
    every: Long = DAILY
    retention: Kept | None = None
    keep: Keep | None = None
    databases: list[Label] = Field(default_factory=list, max_length=1000)
    name: Label | None = None

    def settled(self, base: Path) -> Dumps:
        databases = tuple(self.databases)
        return Dumps(base / self.path, self.pattern, self.every, self.retention, self.keep, databases, self.name or "")


class ToolFile(Strict):
    """What all backup tools have. `command` is a program, or a list of it and its first arguments; no shell."""

    command: Word | Command | None = None
    config_file: Path | None = None
    every: Long = DAILY
    full_every: Long = WEEKLY
    wal_every: Long | None = None
    retention: Kept | None = None
    keep: Keep | None = None

    def argv(self, default: str) -> tuple[str, ...]:
        if self.command is None:
            return (default,)
        return (self.command,) if isinstance(self.command, str) else tuple(self.command)

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.every, max(self.every, self.full_every), self.wal_every, self.retention, self.keep)


class PgbackrestFile(ToolFile):
    """A stanza of pgBackRest's; `recorded` is a file with the output of `pgbackrest info --output=json`."""

    stanza: Label
    recorded: Path | None = None

    def settled(self, base: Path) -> Pgbackrest:
        places = _below(base, self.config_file), _below(base, self.recorded)
        return Pgbackrest(self.stanza, self.argv("pgbackrest"), *places, self.schedule)


class BarmanFile(ToolFile):
    """A server of Barman's."""

    server: Label

    def settled(self, base: Path) -> Barman:
        return Barman(self.server, self.argv("barman"), _below(base, self.config_file), self.schedule)


class WalgFile(ToolFile):
    """WAL-G. `env_file` has lines NAME=value; `recorded` holds what `wal-g backup-list --detail --json` printed."""

    name: Label | None = None
    env_file: Path | None = None
    recorded: Path | None = None

    def settled(self, base: Path) -> Walg:
        config, env, recorded = (_below(base, file) for file in (self.config_file, self.env_file, self.recorded))
        return Walg(self.name or "", self.argv("wal-g"), config, env, recorded, self.schedule)


class MarkerFile(Strict):
    """A file that another tool touches; or, on a PostgreSQL target, the newest value of a table's column."""

    path: Path | None = None
    schema_: Word = Field(default="public", alias="schema")
    table: Word | None = None
    column: Word | None = None
    every: Long = DAILY
    name: Label | None = None

    @model_validator(mode="after")
    def one_place(self) -> MarkerFile:
        if (self.path is None) is (self.table is None) or (self.table is None) is not (self.column is None):
            raise ValueError("a marker is a `path`, or a `table` and its `column`")
        return self


class RestoreTestFile(Strict):
    """A file that is touched when a restore was proven."""

    path: Path
    every: Long = QUARTERLY


def _listed(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class BackupsFile(Strict):
    """The keys of a target that say where its backups are; each takes one, or a list."""

    dumps: Annotated[list[DumpsFile], BeforeValidator(_listed, json_schema_input_type=DumpsFile | list[DumpsFile])] = (
        Field(default_factory=list, max_length=50)
    )
    pgbackrest: Annotated[
        list[PgbackrestFile], BeforeValidator(_listed, json_schema_input_type=PgbackrestFile | list[PgbackrestFile])
    ] = Field(default_factory=list, max_length=50)
    barman: Annotated[
        list[BarmanFile], BeforeValidator(_listed, json_schema_input_type=BarmanFile | list[BarmanFile])
    ] = Field(default_factory=list, max_length=50)
    walg: Annotated[list[WalgFile], BeforeValidator(_listed, json_schema_input_type=WalgFile | list[WalgFile])] = Field(
        default_factory=list, max_length=50
    )
    marker: Annotated[
        list[MarkerFile], BeforeValidator(_listed, json_schema_input_type=MarkerFile | list[MarkerFile])
    ] = Field(default_factory=list, max_length=50)
    restore_test: RestoreTestFile | None = None
    backup_of: Label | None = None

    def misplaced(self, engine: Engine) -> str | None:
        """Why one of the keys given has no place in a target of this engine."""
        if engine is Engine.BACKUP:
            tables = any(marker.path is None for marker in self.marker)
            return "a `marker` that is a table belongs to the target of its PostgreSQL server" if tables else None
        given: dict[str, object] = {"pgbackrest": self.pgbackrest, "barman": self.barman, "walg": self.walg}
        given |= {"restore_test": self.restore_test, "backup_of": self.backup_of}
        for key, value in given.items():
            if value:
                return f"`{key}` belongs to a target of its own with `engine: backup`"
        if any(marker.path is not None for marker in self.marker):
            return "a `marker` that is a file belongs to a target of its own with `engine: backup`"
        if self.marker and engine is not Engine.POSTGRES:
            return "a `marker` that is a table belongs to a PostgreSQL target"
        if self.dumps and engine is not Engine.POSTGRES:
            return f"`dumps` of {engine.product} belong to a target of its own with `engine: backup`"
        return None

    @property
    def has_source(self) -> bool:
        return any((self.dumps, self.pgbackrest, self.barman, self.walg, self.marker))

    def settled(self, base: Path) -> Backups:
        tested = self.restore_test
        return Backups(
            dumps=tuple(model.settled(base) for model in self.dumps),
            pgbackrest=tuple(model.settled(base) for model in self.pgbackrest),
            barman=tuple(model.settled(base) for model in self.barman),
            walg=tuple(model.settled(base) for model in self.walg),
            markers=tuple(Marker(base / m.path, m.every, m.name or "") for m in self.marker if m.path is not None),
            tables=tuple(
                MarkerTable(m.table, m.column, m.schema_, m.every, m.name or "")
                for m in self.marker
                if m.table is not None and m.column is not None
            ),
            restore_test=RestoreTest(base / tested.path, tested.every) if tested else None,
            server=self.backup_of,
        )


def _below(base: Path, file: Path | None) -> Path | None:
    return None if file is None else base / file
