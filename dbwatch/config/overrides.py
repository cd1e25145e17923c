"""Owns holding overrides to the catalogue: every check they name exists, every threshold reads. Settles nothing."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from dbwatch.catalogue import Catalogue
from dbwatch.config.schema import Overrides
from dbwatch.errors import Problem
from dbwatch.levels import LevelError
from dbwatch.model import Engine, Status
from dbwatch.strictyaml import Document, KeyPath, Node

_SECTIONS = ("intervals", "thresholds", "checks", "ignore")


def override_problems(document: Document, data: Node, catalogue: Catalogue) -> list[Problem]:
    """The problems of `defaults` and of every target. Sections that do not even parse are left to the schema."""
    if not isinstance(data, dict):
        return []
    targets = data.get("targets")
    found = list(_problems(document, ("defaults",), data.get("defaults"), catalogue, None))
    for position, target in enumerate(targets if isinstance(targets, list) else []):
        name = target.get("engine") if isinstance(target, dict) else None
        engine = Engine(name) if isinstance(name, str) and name in set(Engine) else None
        found.extend(_problems(document, ("targets", position), target, catalogue, engine))
    return found


def _problems(
    document: Document, path: KeyPath, given: Node, catalogue: Catalogue, engine: Engine | None
) -> Iterator[Problem]:
    checker = _OverrideChecker(document, catalogue, engine)
    for section in _SECTIONS:
        if isinstance(given, dict) and section in given:
            try:
                overrides = Overrides.model_validate({section: given[section]})
            except ValidationError:
                continue
            checker.check(path, overrides)
    yield from checker.problems


class _OverrideChecker:
    def __init__(self, document: Document, catalogue: Catalogue, engine: Engine | None) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.checks = [check for check in catalogue if engine is None or check.engine is engine]
        self.names = {check.name for check in self.checks}
        self.groups = {f"group:{check.group}" for check in self.checks}

    def check(self, path: KeyPath, overrides: Overrides) -> None:
        for section, given in (("intervals", overrides.intervals), ("thresholds", overrides.thresholds)):
            for name in given:
                if name not in self.names:
                    self._unknown((*path, section, name), name)
        for name, levels in overrides.thresholds.items():
            self._levels((*path, "thresholds", name), name, Status.CRITICAL, levels.critical)
            self._levels((*path, "thresholds", name), name, Status.WARNING, levels.warning)
        for section in ("enable", "disable"):
            for position, pattern in enumerate(getattr(overrides.checks, section)):
                if not fnmatch.filter(self.names | self.groups, pattern):
                    self._unknown((*path, "checks", section, position), pattern)
        for position, ignore in enumerate(overrides.ignore):
            if not fnmatch.filter(self.names, ignore.check):
                self._unknown((*path, "ignore", position, "check"), ignore.check)

    def _levels(self, path: KeyPath, name: str, status: Status, text: str | None) -> None:
        for check in self.checks if text is not None else ():
            if check.name != name or text is None:
                continue
            try:
                check.with_levels({status: text})
            except LevelError as error:
                self.problems.append(self.document.problem((*path, str(status)), str(error)))

    def _unknown(self, path: KeyPath, name: str) -> None:
        hint = _suggest(name, self.names | self.groups)
        self.problems.append(self.document.problem(path, f"no check is named {name!r}", hint))


def _suggest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {close[0]}?" if close else "`dbwatch list` shows them all"
