"""Owns the words of a check file, and the parts of it that a check keeps. Knows no file: `catalogue.file` reads them.

Nothing here imports pydantic, so that who only runs checks does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

_VERSION = re.compile(r"^(>=|<)\s*(\d+(?:\.\d+)*)$")
RESERVED_LABELS = frozenset(
    {
        "target",
        "job",
        "instance",
        "le",
        "quantile",
        "check",
        "status",
        "reason",
        "level",
        "severity",
        "component",
        "kind",
    }
)
RENAMED_IN_ALERTS = {"kind": "type"}
"""The label of rows that every alert has for itself too, and how alerts call the row's."""


class Cost(StrEnum):
    """How dear a run is; gives the default interval."""

    CHEAP = "cheap"
    NORMAL = "normal"
    SLOW = "slow"
    LAZY = "lazy"

    @property
    def every(self) -> float:
        return {"cheap": 15.0, "normal": 60.0, "slow": 300.0, "lazy": 3600.0}[self.value]


class Scope(StrEnum):
    INSTANCE = "instance"
    DATABASE = "database"


class Lock(StrEnum):
    """What a run may have to wait for: nothing, the system catalogs, or the relations of users (200 ms at most)."""

    NONE = "none"
    CATALOG = "catalog"
    RELATION = "relation"


class Profile(StrEnum):
    MINIMAL = "minimal"
    STANDARD = "standard"
    DEEP = "deep"


class Use(StrEnum):
    """What a selected column is for: identity, exported number, monotone exported number, or evidence."""

    LABEL = "label"
    GAUGE = "gauge"
    COUNTER = "counter"
    DETAIL = "detail"


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A selected column. `detail` columns are numbers unless `type` is text; they are shown, never exported."""

    use: Use
    metric: str | None = None
    help: str | None = None
    type: Literal["number", "text"] = "number"


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """Where a column comes from: a field of the reply (PgBouncer: a column), scaled, or 1/0 when it equals a text."""

    field: str
    scale: float | None = None
    equals: str | None = None
    default: float | None = None


@dataclass(frozen=True, slots=True)
class AlertHints:
    """How the generated alert is to be; `off` leaves it out of the rules."""

    off: bool = False
    name: str | None = None
    kind: Literal["symptom", "cause"] = "cause"
    keep_firing_for: float | None = None
    for_critical: float | None = None


@dataclass(frozen=True, slots=True)
class Runbook:
    """What to do. `threshold` says why the line is drawn there, `normal` what a healthy server shows, and `silence`
    when to ignore the finding.
    """

    meaning: str
    impact: str
    diagnosis: str
    mitigation: str
    threshold: str | None = None
    normal: str | None = None
    silence: str | None = None


PanelKind: TypeAlias = Literal["timeseries", "stat", "table", "bargauge"]
PanelUnit: TypeAlias = Literal["bytes", "seconds", "ratio", "count", "per_second", "transactions"]


@dataclass(frozen=True, slots=True)
class PanelHints:
    """How the generated dashboard panel is to be; without `column` it shows the first exported one."""

    dashboard: str
    kind: PanelKind = "timeseries"
    title: str | None = None
    column: str | None = None
    unit: PanelUnit = "count"
    legend: str | None = None


def is_version_bound(text: str) -> bool:
    """Whether it is like `>=14` or `<17`."""
    return _VERSION.match(text) is not None


def parse_version_bound(text: str) -> tuple[str, tuple[int, ...]]:
    """`>=14` → (">=", (14,)). Raises ValueError for what is none."""
    match = _VERSION.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a version bound")
    return match.group(1), tuple(int(part) for part in match.group(2).split("."))
