"""Owns the format of a collector file and what it means: a measurement that feeds a compatibility page. Knows no page.

A collector becomes a `Check` without levels, so that the time limits, the guarded transaction and the row cap of checks
hold for it. Its numbers are details of that check: they can leave on the compatibility page only.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from dbwatch.catalogue.building import field_spec
from dbwatch.catalogue.check import Check
from dbwatch.catalogue.families import PLACEHOLDER, SERVER_LABEL, TARGET_LABEL, Collector, Exporter, Family, Kind
from dbwatch.catalogue.file import Line, MeasureFile, Name, Strict
from dbwatch.catalogue.measuring import Requires, source_problems, sql_by_version
from dbwatch.catalogue.schema import AlertHints, ColumnSpec, Lock, Profile, Runbook, Use
from dbwatch.errors import Problem
from dbwatch.strictyaml import Document, KeyPath
from dbwatch.template import Template

_NO_RUNBOOK: Final = Runbook(meaning="-", impact="-", diagnosis="-", mitigation="-")


class FamilyFile(Strict):
    """A selected column: a label of its row, or a family. A name may hold `{label}`, which the name then uses up.

    The columns of one histogram or summary share a name, and each says which samples are its own.
    """

    use: Literal["label", "counter", "gauge", "untyped", "histogram", "summary"]
    name: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:{}]{0,120}$")] | None = None
    help: Line | None = None
    labels: list[Name] | None = None
    sample: Literal["_bucket", "_sum", "_count"] | None = None

    @model_validator(mode="after")
    def fits(self) -> FamilyFile:
        if self.sample is not None and self.use not in ("histogram", "summary"):
            raise ValueError(f"a {self.use} takes no `sample`")
        if self.use == "label" and (self.name or self.help or self.labels is not None):
            raise ValueError("a label takes no `name`, no `help` and no `labels`")
        if self.use != "label" and (self.name is None or self.help is None):
            raise ValueError(f"a {self.use} needs `name` and `help`")
        return self


class CollectorFile(MeasureFile):
    """One collector: the measurement, and what an exporter calls each number. `server` adds the server's address."""

    server: bool = False
    columns: dict[Name, FamilyFile] = Field(min_length=1, max_length=400)


class ExporterFile(Strict):
    """What is known of an exporter beside its collectors: families of another name, and (globs) what we leave out."""

    renamed: dict[str, str] = Field(default_factory=dict)
    dropped: dict[str, Line] = Field(default_factory=dict)


class CollectorBuilder:
    """Turns one validated file into the check that asks what it asks, collecting every problem on the way."""

    def __init__(self, document: Document, model: CollectorFile, exporter: Exporter, name: str) -> None:
        self.document = document
        self.model = model
        self.exporter = exporter
        self.name = name
        self.problems: list[Problem] = []
        self._labels = tuple(column for column, given in model.columns.items() if given.use == "label")

    def build(self) -> Check:
        """Not to be used when there are problems."""
        model = self.model
        self.problems.extend(source_problems(self.document, model, self.exporter.engine))
        self._names()
        return Check(
            name=f"{self.exporter}/{self.name}",
            engine=self.exporter.engine,
            file=self.document.file,
            summary=model.summary,
            group="compat",
            covers=(),
            why=model.summary,
            every=model.interval,
            timeout=model.timeout,
            scope=model.scope,
            profile=Profile.STANDARD,
            enabled=True,
            on_demand=False,
            lock=Lock.NONE,
            cost=model.cost,
            requires=Requires.of(model.requires),
            sql=sql_by_version(self.document, model, self.problems),
            only_if=model.only_if,
            command=model.command,
            fields={name: field_spec(given) for name, given in (model.fields or {}).items()},
            probe=model.probe,
            columns={column: _column(given) for column, given in model.columns.items()},
            derived={},
            language={},
            resets=None,
            limit=model.limit,
            levels={},
            level_texts={},
            for_seconds=0.0,
            key=self._labels,
            message=Template.parse("-"),
            many=None,
            fix=None,
            runbook=_NO_RUNBOOK,
            panel=None,
            alert=AlertHints(off=True),
            collector=Collector(self.exporter, self.name, model.server, self._families()),
        )

    def _fail(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.problems.append(self.document.problem(path, message, hint))

    def _names(self) -> None:
        reserved = {TARGET_LABEL, SERVER_LABEL} if self.model.server else {TARGET_LABEL}
        for label in sorted(reserved.intersection(self._labels)):
            self._fail(("columns", label), "is a reserved label", "rename the column")
        for name in sorted(set(self.model.columns) ^ set(self.model.fields)) if self.model.fields else ():
            self._fail(("fields",), f"{name} must stand in both `fields` and `columns`")

    def _families(self) -> dict[str, Family]:
        families: dict[str, Family] = {}
        owners: dict[str, str] = {}
        for column, given in self.model.columns.items():
            if given.name is None or given.help is None:
                continue
            path: KeyPath = ("columns", column, "name")
            owner = owners.setdefault(given.name + (given.sample or ""), column)
            if owner != column:
                self._fail(path, f"is the family of {owner} already")
            if not given.name.startswith(self.exporter.prefix):
                self._fail(path, f"does not start with {self.exporter.prefix}")
            families[column] = self._family(column, given, given.name, given.help)
        return families

    def _family(self, column: str, given: FamilyFile, name: str, text: str) -> Family:
        used_up = PLACEHOLDER.findall(name)
        rest = PLACEHOLDER.sub("", name)
        if "{" in rest or "}" in rest:
            self._fail(("columns", column, "name"), "has a brace without its label")
        for field, named in (("name", used_up), ("help", PLACEHOLDER.findall(text)), ("labels", given.labels or [])):
            for stray in sorted(set(named).difference(self._labels)):
                self._fail(("columns", column, field), f"{stray} is no label", f"labels: {', '.join(self._labels)}")
        carried = self._labels if given.labels is None else tuple(given.labels)
        labels = tuple(label for label in carried if label not in used_up)
        return Family(name, Kind(given.use), text, labels, given.sample or "")


def _column(given: FamilyFile) -> ColumnSpec:
    return ColumnSpec(use=Use.LABEL if given.use == "label" else Use.DETAIL)
