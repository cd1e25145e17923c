"""Owns finding and reading collector files, `compat/<exporter>/<collector>.yaml`. Read by who needs them alone.

A one-shot run and the help text do not: the checks' own loader passes the folder by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from dbwatch.catalogue.check import Check
from dbwatch.catalogue.collected import AboutExporter, Collectors
from dbwatch.catalogue.collector import CollectorBuilder, CollectorFile, ExporterFile
from dbwatch.catalogue.families import Exporter
from dbwatch.catalogue.file import Strict
from dbwatch.catalogue.loader import COMPAT, entries, name_problems
from dbwatch.errors import ConfigError, Problem
from dbwatch.strictyaml import Document, read_file
from dbwatch.validation import problems_of

_Model = TypeVar("_Model", bound=Strict)


def load_collectors(directories: Sequence[Path]) -> Collectors:
    """Read every collector below the directories. Raises ConfigError with all problems."""
    problems: list[Problem] = []
    checks: dict[tuple[Exporter, str], Check] = {}
    exporters: dict[Exporter, AboutExporter] = {}
    owners: dict[str, str] = {}
    for path, exporter, is_collector in _files(directories, problems):
        try:
            if not is_collector:
                about = _validated(read_file(path), ExporterFile)
                exporters.setdefault(exporter, AboutExporter(about.renamed, about.dropped))
                continue
            check, document = _load(path, exporter)
        except ConfigError as error:
            problems.extend(error.problems)
            continue
        problems.extend(_clashes(document, check, checks, owners))
        checks.setdefault((exporter, path.stem), check)
    if problems:
        raise ConfigError(problems)
    return Collectors(checks, exporters)


def _load(path: Path, exporter: Exporter) -> tuple[Check, Document]:
    document = read_file(path)
    model = _validated(document, CollectorFile)
    builder = CollectorBuilder(document, model, exporter, path.stem)
    check = builder.build()
    problems = [*builder.problems, *name_problems(document, path.stem)]
    if problems:
        raise ConfigError(problems)
    return check, document


def _validated(document: Document, model: type[_Model]) -> _Model:
    if not isinstance(document.data, dict):
        raise ConfigError([document.problem((), "is not a mapping")])
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError(problems_of(document, error, model)) from None


def _files(directories: Iterable[Path], problems: list[Problem]) -> Iterator[tuple[Path, Exporter, bool]]:
    """The collectors' files, and those about an exporter itself (`compat/<exporter>.yaml`)."""
    known = {exporter.value: exporter for exporter in Exporter}
    for compat in (directory / COMPAT for directory in directories if (directory / COMPAT).is_dir()):
        for place in entries(compat, problems):
            exporter = known.get(place.stem if place.suffix == ".yaml" else place.name)
            if exporter is None:
                problems.append(Problem(str(place), None, "", "is not an exporter", f"one of {', '.join(known)}"))
            elif place.is_dir():
                for path in entries(place, problems):
                    if path.suffix == ".yaml":
                        yield path, exporter, True
            else:
                yield place, exporter, False


def _clashes(
    document: Document, check: Check, checks: Mapping[tuple[Exporter, str], Check], owners: dict[str, str]
) -> Iterator[Problem]:
    assert check.collector is not None
    other = checks.get((check.collector.exporter, check.collector.name))
    if other is not None:
        yield document.problem((), f"is a second collector of that name, beside {other.file}", "rename it")
        return
    for column, family in check.collector.families.items():
        owner = owners.setdefault(family.name, check.file)
        if owner != check.file:
            message = f"{family.name} is exported by {owner} already"
            yield document.problem(("columns", column, "name"), message, "one family, one collector")
