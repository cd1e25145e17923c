"""Owns the words of the product: status, reason, facts, rows, findings, outcomes. Knows no I/O.

Everything here is immutable and crosses modules and threads freely.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = float | int | str | bool | None
RawRow: TypeAlias = Mapping[str, object]


class Engine(StrEnum):
    """The kinds of server; the value is the folder under `checks/`."""

    POSTGRES = "postgres"
    REDIS = "redis"
    BACKUP = "backup"
    HOST = "host"
    PGBOUNCER = "pgbouncer"

    @property
    def product(self) -> str:
        return {
            "postgres": "PostgreSQL",
            "redis": "Redis",
            "backup": "Backup",
            "host": "Host",
            "pgbouncer": "PgBouncer",
        }[self.value]

    @property
    def has_roles(self) -> bool:
        """Whether such a server is a primary or a standby of others."""
        return self in (Engine.POSTGRES, Engine.REDIS)

    @property
    def metric_prefix(self) -> str:
        return "dbwatch_pg" if self is Engine.POSTGRES else f"dbwatch_{self.value}"


class Status(StrEnum):
    """The verdict of a check. The number is what `dbwatch_check_status` exports."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"

    @property
    def number(self) -> int:
        return {"ok": 0, "warning": 1, "critical": 2, "unknown": 3, "skipped": 4}[self.value]

    @property
    def severity(self) -> int:
        """Worst is highest: critical, unknown, warning, ok, skipped.

        Unknown outranks warning because what cannot be seen may be critical.
        """
        return {"skipped": 0, "ok": 1, "warning": 2, "unknown": 3, "critical": 4}[self.value]


class Reason(StrEnum):
    """Why a status is `unknown` or `skipped`. A closed set: it becomes a label."""

    VERSION = "version"
    ROLE = "role"
    EXTENSION = "extension"
    PRIVILEGE = "privilege"
    PLATFORM = "platform"
    SETTING = "setting"
    LOCK = "lock"
    STATISTICS = "statistics"
    NO_BASELINE = "no_baseline"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    DNS = "dns"
    TLS = "tls"
    AUTH = "auth"
    NO_DATABASE = "no_database"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    NOT_READY = "not_ready"
    CONNECTION_LOST = "connection_lost"
    CONFLICT = "conflict"
    RESOURCES = "resources"
    BUDGET = "budget"
    BAD_RESULT = "bad_result"
    ERROR = "error"


class Role(StrEnum):
    PRIMARY = "primary"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Extension:
    """An installed extension of the database we are connected to, with its view's real columns.

    One that is not `loaded` waits for the server to load its library at the next start, and answers nothing until then.
    """

    name: str
    version: str
    schema: str
    columns: frozenset[str] = frozenset()
    loaded: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """What a server is and what our role may do there. Decides which checks run.

    `version` compares: PostgreSQL 16.14 is (16, 14), Redis 7.0.15 is (7, 0, 15).
    `privileges` are the predefined roles (PostgreSQL) or commands (Redis) we hold, `excess` what no monitor should.
    """

    engine: Engine
    version: tuple[int, ...]
    version_text: str
    role: Role
    flavour: str
    privileges: frozenset[str] = frozenset()
    extensions: Mapping[str, Extension] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    databases: tuple[str, ...] = ()
    database: str = ""
    user: str = ""
    is_superuser: bool = False
    excess: tuple[str, ...] = ()
    started_at_seconds: float | None = None
    system_identifier: str | None = None
    address: str = ""

    @property
    def major(self) -> int:
        return self.version[0]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured. `labels` name it, `values` are numbers in base units, `details` are evidence."""

    labels: Mapping[str, str]
    values: Mapping[str, float | None]
    details: Mapping[str, str | None]
    status: Status = Status.OK
    key: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that crossed a threshold."""

    key: str
    status: Status
    message: str
    fix: str | None
    labels: Mapping[str, str]
    values: Mapping[str, float | None]
    details: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole result of one run of one check on one target, or the reason why there is none.

    `finished` is a monotonic clock reading, `finished_at_seconds` the wall clock for people.
    `message` explains `reason`; `remedy` says what would change it.
    `partial` says that some database could not be looked at this time.
    """

    target: str
    check: str
    status: Status
    summary: str
    reason: Reason | None = None
    remedy: str | None = None
    step: str | None = None
    rows: tuple[Row, ...] = ()
    findings: tuple[Finding, ...] = ()
    duration_seconds: float = 0.0
    database_seconds: float = 0.0
    finished: float = 0.0
    finished_at_seconds: float = 0.0
    dropped_rows: int = 0
    lifetime: bool = False
    partial: bool = False

    @property
    def answered(self) -> bool:
        """True when the check could look, whatever it saw."""
        return self.status in (Status.OK, Status.WARNING, Status.CRITICAL)


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of an iterable of statuses; `ok` when it is empty or all skipped."""
    found = Status.OK
    for status in statuses:
        if status.severity > found.severity:
            found = status
    return found
