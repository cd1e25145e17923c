"""Owns the format of `dbwatch.yaml` as pydantic models, and thereby its JSON Schema. Knows no file system."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from dbwatch.catalogue.file import Duration, LevelsFile, Line, Strict
from dbwatch.catalogue.schema import RESERVED_LABELS, Profile
from dbwatch.config.backup_schema import BackupsFile
from dbwatch.config.host_schema import HostFile
from dbwatch.model import Engine, Role
from dbwatch.units import parse_bytes, parse_share

TargetName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
LabelName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Bytes: TypeAlias = Annotated[float, BeforeValidator(parse_bytes), Field(gt=0, le=2.0**60)]
Share: TypeAlias = Annotated[float, BeforeValidator(parse_share), Field(ge=0, le=1)]
Pattern: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class IgnoreFile(Strict):
    check: Pattern
    key: Pattern = "*"
    reason: Line
    until: datetime.date | None = None


class DatabasesFile(Strict):
    include: list[Pattern] = Field(default_factory=list)
    exclude: list[Pattern] = Field(default_factory=list)


class ChecksFile(Strict):
    """Names, globs, or `group:<name>`."""

    enable: list[Pattern] = Field(default_factory=list)
    disable: list[Pattern] = Field(default_factory=list)


class ExpectFile(Strict):
    """What this server is meant to be. `replicas` are the application names of its standbys, or how many there are."""

    role: Role | None = None
    replicas: list[Pattern] | Annotated[int, Field(ge=0, le=100)] | None = None


class MachineFile(Strict):
    """The machine the server runs on, where the monitor cannot see it; of PgBouncer, that of the server behind it."""

    memory: Bytes | None = None
    cpus: Annotated[float, Field(gt=0, le=10_000)] | None = None


class TlsFile(Strict):
    """TLS towards the server. `mode` is libpq's sslmode; Redis uses TLS for any mode but `disable`."""

    mode: Annotated[str, StringConstraints(pattern="^(disable|allow|prefer|require|verify-ca|verify-full)$")] = (
        "verify-full"
    )
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class Overrides(Strict):
    """What may be said for all targets under `defaults:` and again for one.

    `budget` is how much of one core of its time a server may spend on our questions; false for as much as it takes.
    """

    profile: Profile | None = None
    intervals: dict[str, Duration] = Field(default_factory=dict)
    thresholds: dict[str, LevelsFile] = Field(default_factory=dict)
    checks: ChecksFile = ChecksFile()
    ignore: list[IgnoreFile] = Field(default_factory=list)
    databases: DatabasesFile = DatabasesFile()
    connect_timeout: Annotated[Duration, Field(ge=1, le=60)] | None = None
    labels: dict[LabelName, Line] = Field(default_factory=dict)
    compat: bool | None = None
    budget: Share | None = None

    @model_validator(mode="after")
    def labels_are_free(self) -> Overrides:
        for name in self.labels:
            if name in RESERVED_LABELS or name.startswith("__"):
                raise ValueError(f"the label {name} is reserved")
        return self


class TargetFile(Overrides, BackupsFile, HostFile):
    name: TargetName
    engine: Engine
    url: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    host: str | None = None
    port: Annotated[int, Field(gt=0, lt=65_536)] | None = None
    dbname: str | None = None
    user: str | None = None
    password_file: Path | None = None
    password_env: str | None = None
    password_command: list[str] | None = Field(default=None, min_length=1)
    tls: TlsFile | None = None
    expect: ExpectFile | None = None
    machine: MachineFile | None = None

    @model_validator(mode="after")
    def one_way(self) -> TargetFile:
        passwords = [p for p in (self.password_file, self.password_env, self.password_command) if p is not None]
        if len(passwords) > 1:
            raise ValueError("give one of `password_file`, `password_env` and `password_command`")
        parts = [p for p in (self.host, self.port, self.dbname, self.user) if p is not None]
        misplaced = self.misplaced(self.engine)
        if misplaced is not None:
            raise ValueError(misplaced)
        if self.engine is Engine.BACKUP:
            if not self.has_source:
                raise ValueError("a backup target needs one of `dumps`, `pgbackrest`, `barman`, `walg` and `marker`")
            if self.url is not None or parts or passwords:
                raise ValueError("a backup target has no server: it takes what says where its backups are")
            return self
        if self.engine is Engine.HOST:
            if self.url is not None or parts or passwords or self.machine is not None:
                raise ValueError("a host target has no server: it takes `volumes`, `root`, `cgroup` and `of`")
            return self
        if self.of_host_targets:
            raise ValueError(f"`{self.of_host_targets[0]}` belongs to a target of its own with `engine: host`")
        if self.url is not None and parts:
            raise ValueError("give either `url` or `host`, `port`, `dbname` and `user`")
        if self.url is None and self.host is None:
            raise ValueError("give `url` or `host`")
        return self


class ConfigFile(Strict):
    """The daemon's and the command's configuration."""

    targets: list[TargetFile] = Field(default_factory=list, max_length=10_000)
    defaults: Overrides = Overrides()
    checks_dir: Path | list[Path] | None = None
