"""Owns finding check files and reading them into one catalogue. Knows no configuration and no server.

Every file is read before anything is refused, so that one run of `validate` shows every problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from dbwatch.catalogue.building import CheckBuilder
from dbwatch.catalogue.catalogue import Catalogue
from dbwatch.catalogue.check import Check
from dbwatch.catalogue.file import CheckFile
from dbwatch.catalogue.measuring import source_problems
from dbwatch.errors import ConfigError, Problem
from dbwatch.model import Engine
from dbwatch.strictyaml import Document, read_file
from dbwatch.validation import problems_of

COMPAT = "compat"
"""The folder of collectors, which are read by `catalogue.collectors` for the daemon alone."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")


def load_catalogue(directories: Sequence[Path]) -> Catalogue:
    """Read every `<engine>/<name>.yaml` below the directories. Raises ConfigError with all problems."""
    problems: list[Problem] = []
    checks: dict[tuple[Engine, str], Check] = {}
    owners: dict[str, Check] = {}
    for directory in directories:
        if not directory.is_dir():
            problems.append(Problem(str(directory), None, "", "is not a directory", "name a directory of check files"))
            continue
        for path, engine in _check_files(directory, problems):
            try:
                check, document = _load(path, engine)
            except ConfigError as error:
                problems.extend(error.problems)
                continue
            problems.extend(_clashes(document, check, checks, owners))
            checks.setdefault((engine, check.name), check)
    if problems:
        raise ConfigError(problems)
    return Catalogue(checks)


def load_check(path: Path, engine: Engine) -> Check:
    """Read one check file. Raises ConfigError with all its problems."""
    return _load(path, engine)[0]


def _load(path: Path, engine: Engine) -> tuple[Check, Document]:
    document = read_file(path)
    model = _validate(document)
    name = path.stem
    builder = CheckBuilder(document, model, engine, name)
    check = builder.build()
    problems = [*builder.problems, *name_problems(document, name), *source_problems(document, model, engine)]
    if check is None or problems:
        raise ConfigError(problems)
    return check, document


def _check_files(directory: Path, problems: list[Problem]) -> Iterator[tuple[Path, Engine]]:
    engines = {engine.value: engine for engine in Engine}
    found = entries(directory, problems)
    for folder in (path for path in found if path.is_dir() and path.name != COMPAT):
        engine = engines.get(folder.name)
        if engine is None:
            problems.append(Problem(str(folder), None, "", "is not an engine", f"one of {', '.join(engines)}"))
            continue
        for path in entries(folder, problems):
            if path.suffix == ".yaml":
                yield path, engine
            elif path.suffix == ".yml":
                problems.append(Problem(str(path), None, "", "ends in .yml", "rename it to .yaml"))
    problems.extend(
        Problem(str(path), None, "", "lies outside an engine's folder", "move it to postgres/ or redis/")
        for path in found
        if path.suffix in (".yaml", ".yml") and not path.is_dir()
    )


def entries(directory: Path, problems: list[Problem]) -> list[Path]:
    """Sorted, without hidden names: Kubernetes mounts `..data` beside the files, editors leave `.#name.yaml`."""
    try:
        return sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as error:
        problems.append(Problem(str(directory), None, "", f"cannot be read: {error.strerror}", "check its mode"))
        return []


def _validate(document: Document) -> CheckFile:
    if not isinstance(document.data, dict):
        raise ConfigError([document.problem((), "is not a mapping", "a check file starts with `summary:`")])
    try:
        return CheckFile.model_validate(document.data)
    except ValidationError as error:
        raise ConfigError(problems_of(document, error, CheckFile)) from None


def name_problems(document: Document, name: str) -> list[Problem]:
    if _NAME.match(name):
        return []
    return [document.problem((), f"the file name {name!r} is not a check name", "lower case words joined by _")]


def _clashes(
    document: Document, check: Check, checks: Mapping[tuple[Engine, str], Check], owners: dict[str, Check]
) -> Iterator[Problem]:
    other = checks.get((check.engine, check.name))
    if other is not None:
        yield document.problem((), f"is a second check of that name, beside {other.file}", "rename it")
        return
    for name, column in check.exported.items():
        assert column.metric is not None
        owner = owners.setdefault(column.metric, check)
        if owner is not check:
            message = f"{column.metric} is exported by {owner.file} already"
            yield document.problem(("columns", name, "metric"), message, "one metric, one check")
