"""Owns the set of all collectors, and what is known of the exporters they stand in for. Knows no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from dbwatch.catalogue.check import Check
from dbwatch.catalogue.families import Collector, Exporter, Family
from dbwatch.model import Engine


@dataclass(frozen=True, slots=True)
class AboutExporter:
    """What is known of an exporter beside its collectors: families of another name, and (globs) what we leave out."""

    renamed: Mapping[str, str]
    dropped: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Collectors:
    """All collectors by exporter and name, and what is known of each exporter beside them."""

    checks: Mapping[tuple[Exporter, str], Check] = field(default_factory=dict)
    exporters: Mapping[Exporter, AboutExporter] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks.values())

    def of(self, engine: Engine) -> tuple[Check, ...]:
        return tuple(check for check in self if check.engine is engine)

    def families(self, exporter: Exporter) -> Iterator[tuple[Collector, Family]]:
        """Every family the pages of that exporter may hold."""
        for check in self:
            if check.collector is not None and check.collector.exporter is exporter:
                for family in check.collector.families.values():
                    yield check.collector, family
