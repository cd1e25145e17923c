"""Owns what one collector's outcome puts on its page: families under an exporter's names. Pure; knows no store.

NULL is no sample. Rows are taken whole and in their order until there is no more room, so a collector puts first what
matters most. `/compat/<exporter>` of several servers tells them apart by a label that is put in when pages are joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dbwatch.catalogue.families import SERVER_LABEL, TARGET_LABEL, Collector, Family, Kind
from dbwatch.config import Target
from dbwatch.exposition.block import Part, lines_of, plain
from dbwatch.exposition.labels import clean
from dbwatch.model import Outcome, Row

MOST_SERIES_OF_COLLECTOR: Final = 5_000
MOST_SERIES_OF_TARGET: Final = 10_000
_WITH_LABELS: Final = re.compile(rb"(?m)^([\w:]+)\{")
_WITHOUT_LABELS: Final = re.compile(rb"(?m)^([\w:]+) ")


@dataclass(frozen=True, slots=True)
class Rendered:
    """The families of one outcome, how many series they hold and how many were left out."""

    parts: tuple[Part, ...] = ()
    series: int = 0
    dropped: int = 0


@dataclass(slots=True)
class _Gathered:
    """The samples of one family by what follows its name in theirs, then by their labels."""

    kind: Kind
    help: str
    samples: dict[str, dict[tuple[str, ...], tuple[Mapping[str, str], float]]]

    def part(self, name: str) -> Part:
        head = plain(name, self.help, self.kind, ()).head
        lines = ((name + end, labels, value) for end, found in self.samples.items() for labels, value in found.values())
        return Part(name, head, lines_of(lines))


def render_collected(
    target: Target, collector: Collector, outcome: Outcome, room: int = MOST_SERIES_OF_COLLECTOR
) -> Rendered:
    """The rows of an outcome as at most `room` series."""
    constant = {SERVER_LABEL: clean(target.address)} if collector.server else {}
    gathered: dict[str, _Gathered] = {}
    series, dropped = 0, outcome.dropped_rows
    for row in outcome.rows:
        found = tuple(_samples(collector, row))
        dropped += sum(value is not None for value in row.values.values()) - len(found)
        if series + len(found) > room:
            dropped += len(found)
            continue
        for name, text, family, labels, value in found:
            samples = gathered.setdefault(name, _Gathered(family.kind, text, {})).samples.setdefault(family.sample, {})
            identity = tuple(labels.values())
            if identity in samples:
                dropped += 1
            else:
                samples[identity] = ({**constant, **labels}, value)
                series += 1
    return Rendered(tuple(made.part(name) for name, made in gathered.items()), series, dropped)


def _samples(collector: Collector, row: Row) -> Iterator[tuple[str, str, Family, Mapping[str, str], float]]:
    for column, family in collector.families.items():
        value = row.values.get(column)
        named = family.named(row.labels) if value is not None else None
        if value is not None and named is not None:
            labels = {label: clean(row.labels[label]) for label in family.labels}
            yield *named, family, labels, value


def told_apart(parts: Iterable[Part], target: str) -> Iterator[Part]:
    """The same families with the target as one more label; a target's name needs no escape."""
    label = f'{TARGET_LABEL}="{target}"'.encode()
    for part in parts:
        first = _WITH_LABELS.sub(rb"\1{" + label + b",", part.samples)
        yield Part(part.name, part.head, _WITHOUT_LABELS.sub(rb"\1{" + label + b"} ", first))
