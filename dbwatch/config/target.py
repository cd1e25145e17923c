"""Owns the settled description of one target. Knows no driver: `options` are the engine's own words."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dbwatch.catalogue.schema import Profile
from dbwatch.config.backups import Backups
from dbwatch.config.host_place import HostPlace
from dbwatch.config.password import PasswordSource
from dbwatch.model import Engine, Role, Status

DEFAULT_BUDGET: Final = 0.005


@dataclass(frozen=True, slots=True)
class Ignore:
    """A finding somebody has decided to live with, for a time and a reason."""

    check: str
    key: str
    reason: str
    until: datetime.date | None = None

    def concerns(self, check: str, today: datetime.date) -> bool:
        """True while it may hide findings of this check."""
        return (self.until is None or today <= self.until) and fnmatch.fnmatchcase(check, self.check)

    def covers(self, check: str, key: str, today: datetime.date) -> bool:
        return self.concerns(check, today) and fnmatch.fnmatchcase(key, self.key)


@dataclass(frozen=True, slots=True)
class Expect:
    """What the owner says this server is. `replicas` are application names, `replica_count` their number."""

    role: Role | None = None
    replicas: tuple[str, ...] = ()
    replica_count: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine a server runs on, as its owner describes it."""

    memory_bytes: float | None = None
    cpus: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One monitored server: how to reach it, and what differs from the catalogue's defaults there.

    `budget` is the share of one core of the server's time that the checks may cost it; None is no limit.
    """

    name: str
    engine: Engine
    host: str = ""
    port: int | None = None
    database: str = ""
    user: str = ""
    password: PasswordSource | None = None
    # Not shown: a URL may carry sslpassword and its like.
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: bool = False
    profile: Profile = Profile.STANDARD
    labels: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, Mapping[Status, str]] = field(default_factory=dict)
    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    ignore: tuple[Ignore, ...] = ()
    include_databases: tuple[str, ...] = ()
    exclude_databases: tuple[str, ...] = ()
    connect_timeout: float = 5.0
    backups: Backups = field(default_factory=Backups)
    expect: Expect = Expect()
    machine: Machine = Machine()
    place: HostPlace = field(default_factory=HostPlace)
    compat: bool = True
    budget: float | None = DEFAULT_BUDGET

    @property
    def address(self) -> str:
        """Where the server is, for people; never holds a secret."""
        if self.engine is Engine.BACKUP:
            return self.backups.address
        if self.engine is Engine.HOST:
            return "this machine" if self.place.root == Path("/") else f"the machine at {self.place.root}"
        if self.host.startswith("/"):
            return self.host
        host = f"[{self.host}]" if ":" in self.host else self.host or "localhost"
        return f"{host}:{self.port}" if self.port is not None else host

    def overrides(self, check: str, today: datetime.date) -> bool:
        """True when this target judges a check otherwise than the catalogue, which its bundled alert cannot know."""
        return (
            check in self.thresholds
            or check in self.intervals
            or any(ignore.concerns(check, today) for ignore in self.ignore)
        )

    def watches_database(self, name: str) -> bool:
        def match(patterns: tuple[str, ...]) -> bool:
            return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

        return (not self.include_databases or match(self.include_databases)) and not match(self.exclude_databases)
