"""Owns which families of an exporter's page we supply, and how. Pure: text in, and what the collectors say."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dbwatch.catalogue.collected import Collectors
from dbwatch.catalogue.families import Exporter
from dbwatch.exposition.compat.own import OWN

_TYPE: Final = re.compile(r"# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) ([a-z]+)\s*\Z")
_SAMPLE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?=[{ \t])")
_SUFFIXES: Final = re.compile(r"_(bucket|sum|count|created|info)\Z")
_UNKNOWN: Final = "no query of ours asks for it"


class Supply(StrEnum):
    """How we supply a family: under the same name, under another, or not at all."""

    SAME = "same"
    RENAMED = "renamed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Supplied:
    """One family of the page. `note` is the collector, our name of it, or why it is left out."""

    family: str
    kind: str
    series: int
    supply: Supply
    note: str


def inventory(page: str, collectors: Collectors) -> tuple[Exporter, tuple[Supplied, ...]] | None:
    """What we supply of a page; None when it is no page of an exporter we stand in for."""
    kinds, series = _families(page)
    own = {exporter: sum(name.startswith(exporter.prefix) for name in kinds) for exporter in Exporter}
    exporter = max(own, key=lambda candidate: own[candidate])
    if own[exporter] == 0:
        return None
    return exporter, tuple(
        Supplied(name, kind, series[name], *_supply(name, exporter, collectors)) for name, kind in sorted(kinds.items())
    )


def _supply(name: str, exporter: Exporter, collectors: Collectors) -> tuple[Supply, str]:
    if any(family.name == name for family in OWN[exporter]):
        return Supply.SAME, "about the page itself"
    for collector, family in collectors.families(exporter):
        if family.supplies(name):
            return Supply.SAME, collector.name
    about = collectors.exporters.get(exporter)
    if about is None:
        return Supply.DROPPED, _UNKNOWN
    if name in about.renamed:
        return Supply.RENAMED, about.renamed[name]
    reasons = (reason for pattern, reason in about.dropped.items() if fnmatch.fnmatchcase(name, pattern))
    return Supply.DROPPED, next(reasons, _UNKNOWN)


def _families(page: str) -> tuple[Mapping[str, str], Counter[str]]:
    """The kind of each family, and how many samples it has."""
    kinds: dict[str, str] = {}
    series: Counter[str] = Counter()
    for line in page.splitlines():
        if declared := _TYPE.match(line):
            kinds[declared.group(1)] = declared.group(2)
        elif sample := _SAMPLE.match(line):
            name = sample.group(1)
            base = next((known for known in (name, _SUFFIXES.sub("", name)) if known in kinds), name)
            kinds.setdefault(base, "untyped")
            series[base] += 1
    return kinds, series
