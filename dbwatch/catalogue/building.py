"""Owns what a check file means: typed levels, templates, SQL by version. Knows no engine and no file system."""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.catalogue.check import Check
from dbwatch.catalogue.file import CheckFile, ColumnFile, FieldFile
from dbwatch.catalogue.measuring import Requires, sql_by_version
from dbwatch.catalogue.schema import (
    RENAMED_IN_ALERTS,
    RESERVED_LABELS,
    AlertHints,
    ColumnSpec,
    FieldSpec,
    PanelHints,
    Runbook,
    Use,
)
from dbwatch.errors import Problem
from dbwatch.levels import Column, ColumnKind, Expression, LevelError, parse_level, parse_value
from dbwatch.model import Engine, Status
from dbwatch.strictyaml import Document, KeyPath
from dbwatch.template import Format, Template, TemplateError

_KINDS = {
    Use.LABEL: ColumnKind.LABEL,
    Use.GAUGE: ColumnKind.GAUGE,
    Use.COUNTER: ColumnKind.COUNTER,
}


class CheckBuilder:
    """Turns one validated file into a Check, collecting every problem on the way."""

    def __init__(self, document: Document, model: CheckFile, engine: Engine, name: str) -> None:
        self.document = document
        self.model = model
        self.engine = engine
        self.name = name
        self.problems: list[Problem] = []

    def build(self) -> Check | None:
        model = self.model
        self._columns()
        language = self._language()
        level_texts = self._level_texts()
        levels = {
            status: expression
            for status, text in level_texts.items()
            if (expression := self._parse(("levels", str(status)), text, language)) is not None
        }
        message = self._template(("message",), model.message, language)
        many = self._template(("many",), model.many, None)
        fix = self._template(("fix",), model.fix, language)
        self._quoted(fix)
        sql = sql_by_version(self.document, model, self.problems)
        self._keys()
        if self.problems or message is None:
            return None
        return Check(
            name=self.name,
            engine=self.engine,
            file=self.document.file,
            summary=model.summary,
            group=model.group,
            covers=tuple(model.covers),
            why=model.why.strip(),
            every=model.interval,
            timeout=model.timeout,
            scope=model.scope,
            profile=model.profile,
            enabled=model.enabled,
            on_demand=model.on_demand,
            lock=model.lock,
            cost=model.cost,
            requires=Requires.of(model.requires),
            sql=sql,
            only_if=model.only_if,
            command=model.command,
            fields={name: field_spec(given) for name, given in (model.fields or {}).items()},
            probe=model.probe,
            columns={name: _column(given) for name, given in model.columns.items()},
            derived={n: c.derived for n, c in language.items() if c.derived is not None},
            language=language,
            resets=model.resets,
            limit=model.limit,
            levels=levels,
            level_texts=level_texts,
            for_seconds=model.for_ or 0.0,
            key=tuple(model.key),
            message=message,
            many=many,
            fix=fix,
            runbook=Runbook(**dict(model.runbook)),
            panel=PanelHints(**dict(model.panel)) if model.panel is not None else None,
            alert=AlertHints(**dict(model.alert)),
        )

    def _fail(self, path: KeyPath, message: str, hint: str | None = None) -> None:
        self.problems.append(self.document.problem(path, message, hint))

    def _columns(self) -> None:
        for name, column in self.model.columns.items():
            renamed = RENAMED_IN_ALERTS.get(name)
            if column.use is Use.LABEL and name in RESERVED_LABELS and renamed is None:
                self._fail(("columns", name), "is a reserved label", "rename the column")
            if column.use is Use.LABEL and renamed in self.model.columns:
                self._fail(("columns", name), f"is called {renamed} in alerts, which is a column", f"rename {renamed}")
            prefix = self.engine.metric_prefix + "_"
            if column.metric and not column.metric.startswith(prefix):
                self._fail(("columns", name, "metric"), f"does not start with {prefix}")
        if self.model.fields is not None:
            for name in sorted(set(self.model.columns) ^ set(self.model.fields)):
                self._fail(("fields",), f"{name} must stand in both `fields` and `columns`")
        resets = self.model.resets
        if resets is not None and (resets not in self.model.columns or self.model.columns[resets].use is Use.LABEL):
            self._fail(("resets",), f"{resets} is not a numeric column")

    def _language(self) -> dict[str, Column]:
        language: dict[str, Column] = {}
        for name, column in self.model.columns.items():
            kind = _KINDS.get(column.use)
            if kind is None:
                kind = ColumnKind.DETAIL_TEXT if column.type == "text" else ColumnKind.DETAIL_NUMBER
            language[name] = Column(kind, column.metric)
        for name, derive in self.model.derive.items():
            if name in language:
                self._fail(("derive", name), "is a column already", "use another name")
                continue
            try:
                language[name] = Column(ColumnKind.DERIVED, None, parse_value(derive.value, dict(language)))
            except LevelError as error:
                self._fail(("derive", name, "value"), str(error))
        return language

    def _level_texts(self) -> dict[Status, str]:
        levels = self.model.levels
        if levels is None:
            return {}
        texts = {Status.CRITICAL: levels.critical, Status.WARNING: levels.warning}
        return {status: text.strip() for status, text in texts.items() if text is not None}

    def _parse(self, path: KeyPath, text: str, language: Mapping[str, Column]) -> Expression | None:
        try:
            return parse_level(text, language)
        except LevelError as error:
            self._fail(path, str(error))
            return None

    def _template(self, path: KeyPath, text: str | None, language: Mapping[str, Column] | None) -> Template | None:
        if text is None:
            return None
        try:
            template = Template.parse(text.strip())
        except TemplateError as error:
            self._fail(path, str(error))
            return None
        known = set(language) if language is not None else self._aggregates()
        for unknown in sorted(template.fields - known):
            self._fail(path, f"{{{unknown}}} is not a column", f"known: {', '.join(sorted(known))}")
        return template

    def _quoted(self, fix: Template | None) -> None:
        """A name may hold anything, so a pasted statement quotes it. Text details come quoted from their SQL."""
        if fix is None or self.engine is not Engine.POSTGRES:
            return
        for part in fix.parts:
            if isinstance(part, str) or part.format in (Format.IDENT, Format.LITERAL):
                continue
            column = self.model.columns.get(part.name)
            if column is not None and column.use is Use.LABEL:
                hint = f"write {{{part.name}:ident}} or {{{part.name}:literal}}"
                self._fail(("fix",), f"{{{part.name}}} is a name", hint)

    def _aggregates(self) -> set[str]:
        numbers = [n for n, c in self.model.columns.items() if c.use is not Use.LABEL and c.type == "number"]
        numbers += list(self.model.derive)
        return {"count"} | {f"{how}_{name}" for name in numbers for how in ("total", "max", "min")}

    def _keys(self) -> None:
        labels = [name for name, column in self.model.columns.items() if column.use is Use.LABEL]
        for position, name in enumerate(self.model.key):
            if name not in labels:
                self._fail(("key", position), f"{name} is not a label column", "the key is made of labels")
        missing = sorted(set(labels) - set(self.model.key))
        if missing:
            self._fail(("key",), f"does not name {', '.join(missing)}", "rows are told apart by all their labels")
        panel = self.model.panel
        if (
            panel is not None
            and panel.column is not None
            and panel.column not in {*self.model.columns, *self.model.derive}
        ):
            self._fail(("panel", "column"), f"{panel.column} is not a column")


def field_spec(given: str | FieldFile) -> FieldSpec:
    return FieldSpec(given) if isinstance(given, str) else FieldSpec(**dict(given))


def _column(given: ColumnFile) -> ColumnSpec:
    return ColumnSpec(**dict(given))
