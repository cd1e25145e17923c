"""Owns the set of all checks, and finding some by name. Knows no file."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dbwatch.catalogue.check import Check
from dbwatch.errors import ConfigError
from dbwatch.model import Engine


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All checks, by engine and name."""

    checks: Mapping[tuple[Engine, str], Check]

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks.values())

    def of(self, engine: Engine) -> tuple[Check, ...]:
        return tuple(check for check in self if check.engine is engine)

    def named(self, name: str) -> tuple[Check, ...]:
        return tuple(check for check in self if check.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(check.name for check in self))

    def matching(self, patterns: Iterable[str], *, source: str) -> frozenset[str]:
        """The names that match any of the globs. Raises ConfigError naming a pattern that matches none."""
        found: set[str] = set()
        for pattern in patterns:
            hits = fnmatch.filter(self.names, pattern)
            if not hits:
                raise ConfigError.of(source, f"no check is named {pattern!r}", hint=self.suggest(pattern))
            found.update(hits)
        return frozenset(found)

    def suggest(self, name: str) -> str:
        close = difflib.get_close_matches(name, self.names, n=1)
        return f"did you mean {close[0]}?" if close else "`dbwatch list` shows them all"
