"""Owns the format of a check file as pydantic models, and thereby its JSON Schema. Knows no engine.

The models say what may be written. What it means together (levels over columns, templates over values, unique
metrics) is `catalogue.building`'s business.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from dbwatch.catalogue.schema import Cost, Lock, PanelKind, PanelUnit, Profile, Scope, Use, is_version_bound
from dbwatch.model import Role
from dbwatch.units import parse_duration

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Metric: TypeAlias = Annotated[str, StringConstraints(pattern=r"^dbwatch_[a-z0-9_]+$", max_length=120)]
Line: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=160, pattern=r"^[^\n]+$")]
Sentence: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=240, pattern=r"^[^\n]+$")]
Text: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
RuleId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Z][1-9][0-9]?$")]
Duration: TypeAlias = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=31 * 86_400)]


class Strict(BaseModel):
    # Most of these stand inside others alone: built for themselves as well they would take a megabyte.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ColumnFile(Strict):
    """A selected column. `detail` columns are numbers unless `type: text`; they are shown, never exported."""

    use: Use
    metric: Metric | None = None
    help: Line | None = None
    type: Literal["number", "text"] = "number"

    @model_validator(mode="after")
    def fits(self) -> ColumnFile:
        exported = self.use in (Use.GAUGE, Use.COUNTER)
        if exported and (self.metric is None or self.help is None):
            raise ValueError(f"a {self.use} needs `metric` and `help`")
        if not exported and (self.metric or self.help):
            raise ValueError(f"a {self.use} is not exported, so it takes no `metric` and no `help`")
        if self.use is Use.COUNTER and not (self.metric or "").endswith("_total"):
            raise ValueError("the metric of a counter ends in _total")
        if self.use is Use.GAUGE and (self.metric or "").endswith("_total"):
            raise ValueError("the metric of a gauge does not end in _total")
        return self


class FieldFile(Strict):
    """Where a column comes from: a field of the reply (PgBouncer: a column), scaled, or 1/0 when it equals a text."""

    field: str
    scale: float | None = None
    equals: str | None = None
    default: float | None = None


class RequiresFile(Strict):
    """What must hold for the check to run; anything else is `skipped` with the matching reason."""

    role: Role | None = None
    version: str | None = None
    extension: Name | None = None
    privilege: str | None = None
    setting: str | None = None
    flavour: str | None = None

    @model_validator(mode="after")
    def version_reads(self) -> RequiresFile:
        if self.version is not None and not is_version_bound(self.version):
            raise ValueError(f"version {self.version!r} is not like '>=14' or '<17'")
        return self


class LevelsFile(Strict):
    critical: Text | None = None
    warning: Text | None = None

    @model_validator(mode="after")
    def some(self) -> LevelsFile:
        if self.critical is None and self.warning is None:
            raise ValueError("give `critical`, `warning` or both")
        return self


class AlertFile(Strict):
    """Hints for the generated alert; `off: true` leaves it out of the rules."""

    off: bool = False
    name: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z0-9]{2,39}$")] | None = None
    kind: Literal["symptom", "cause"] = "cause"
    keep_firing_for: Duration | None = None
    for_critical: Duration | None = None


class RunbookFile(Strict):
    """What to do. `threshold` says why the line is drawn there, `normal` what a healthy server shows, and `silence`
    when to ignore the finding; every bundled check has all of them.
    """

    meaning: Text
    impact: Text
    diagnosis: Text
    mitigation: Text
    threshold: Text | None = None
    normal: Text | None = None
    silence: Text | None = None


class PanelFile(Strict):
    """Hint for the generated dashboard panel; `column` defaults to the first exported one."""

    dashboard: Name
    kind: PanelKind = "timeseries"
    title: Line | None = None
    column: Name | None = None
    unit: PanelUnit = "count"
    legend: Line | None = None


class DeriveFile(Strict):
    """A named expression over the other columns, usable in levels and texts; `number` reads like a column."""

    value: Text
    help: Line | None = None


class MeasureFile(Strict):
    """The measuring half of a file: what is asked, how often, of which servers."""

    summary: Line
    cost: Cost = Cost.NORMAL
    every: Duration | None = None
    timeout: Duration = 10.0
    scope: Scope = Scope.INSTANCE
    requires: RequiresFile = RequiresFile()
    sql: Text | dict[str, Text] | None = None
    only_if: Text | None = None
    command: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z_ ]{1,40}$")] | None = None
    fields: dict[Name, str | FieldFile] | None = None
    probe: Name | None = None
    limit: int = Field(default=100, ge=1, le=1000)

    @model_validator(mode="after")
    def one_source(self) -> Self:
        given = [name for name in ("sql", "command", "probe") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of `sql`, `command` and `probe`")
        if (self.command is None) != (self.fields is None):
            raise ValueError("`command` and `fields` go together")
        if self.only_if is not None and self.sql is None:
            raise ValueError("`only_if` is the cheap question before `sql`")
        return self

    @property
    def interval(self) -> float:
        return self.every if self.every is not None else self.cost.every


class CheckFile(MeasureFile):
    """One check: the measurement, the thresholds, the verdict, the metric, the alert, the panel, the runbook."""

    group: Name
    covers: list[RuleId] = Field(default_factory=list)
    why: Text
    profile: Profile = Profile.STANDARD
    enabled: bool = True
    on_demand: bool = False
    lock: Lock = Lock.CATALOG
    columns: dict[Name, ColumnFile] = Field(min_length=1, max_length=60)
    derive: dict[Name, DeriveFile] = Field(default_factory=dict)
    resets: Name | None = None
    levels: LevelsFile | None = None
    for_: Duration | None = Field(default=None, alias="for")
    key: list[Name] = Field(default_factory=list)
    message: Sentence
    many: Sentence | None = None
    fix: Text | None = None
    runbook: RunbookFile
    panel: PanelFile | None = None
    alert: AlertFile = AlertFile()
