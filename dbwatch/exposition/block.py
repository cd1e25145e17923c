"""Owns turning metric families into bytes, once, and joining such bytes into a page. Knows no check and no store.

Writing and escaping is prometheus_client's work. Its writers render whole pages; ours is joined from many small ones,
so what they write of a family is kept in two parts: the head (HELP, TYPE, UNIT), which a page shows once, and the
samples, which come from every target. Of the kinds of family we have, both formats write the samples alike, so those
are written once.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest as write_text
from prometheus_client.openmetrics.exposition import generate_latest as write_openmetrics

_UNITS: Final = ("seconds", "bytes", "ratio")


class Format(StrEnum):
    """The two formats of a page; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


END: Final[Mapping[Format, bytes]] = {Format.TEXT: b"", Format.OPENMETRICS: b"# EOF\n"}


@dataclass(frozen=True, slots=True)
class Part:
    """One family in one format."""

    name: str
    head: bytes
    samples: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Some families in both formats; `series` is how many samples they hold."""

    text: tuple[Part, ...] = ()
    openmetrics: tuple[Part, ...] = ()
    series: int = 0

    def parts(self, form: Format) -> tuple[Part, ...]:
        return self.text if form is Format.TEXT else self.openmetrics


NOTHING: Final = Block()


class _Only:
    """What the writers take for a registry: one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def gauge(name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels, unit=_unit(name))


def counter(name: str, text: str, labels: Sequence[str]) -> CounterMetricFamily:
    return CounterMetricFamily(name, text, labels=labels, unit=_unit(name.removesuffix("_total")))


def histogram(name: str, text: str, labels: Sequence[str]) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, text, labels=labels, unit=_unit(name))


def render(families: Iterable[Metric]) -> Block:
    """The families as bytes; those without samples are left out."""
    filled = [family for family in families if family.samples]
    text = tuple(_part(family) for family in filled)
    return Block(
        text=text,
        openmetrics=tuple(
            Part(family.name, _head_of(family, Format.OPENMETRICS), part.samples)
            for family, part in zip(filled, text, strict=True)
        ),
        series=sum(len(family.samples) for family in filled),
    )


def plain(name: str, text: str, kind: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Part:
    """A family in the text format whose TYPE line says `kind` whatever its name: the library would rename a counter."""
    family = Metric(name, text, "gauge")
    for labels, value in samples:
        family.add_sample(name, dict(labels), value)
    head = _head(name, text, "gauge", "", Format.TEXT)
    as_gauge, as_kind = (f"# TYPE {name} {word}\n".encode() for word in ("gauge", kind))
    return Part(name, head.removesuffix(as_gauge) + as_kind, _write(family, Format.TEXT)[len(head) :])


def join(blocks: Iterable[Block], form: Format) -> bytes:
    """One page of all blocks: every family once, in the order first seen, without the page's end."""
    families: dict[str, list[bytes]] = {}
    for block in blocks:
        for part in block.parts(form):
            families.setdefault(part.name, [part.head]).append(part.samples)
    return b"".join(itertools.chain.from_iterable(families.values()))


def _unit(name: str) -> str:
    return next((unit for unit in _UNITS if name.endswith(f"_{unit}")), "")


def _part(family: Metric) -> Part:
    head = _head_of(family, Format.TEXT)
    return Part(family.name, head, _write(family, Format.TEXT)[len(head) :])


def _head_of(family: Metric, form: Format) -> bytes:
    return _head(family.name, family.documentation, family.type, family.unit, form)


@functools.lru_cache(maxsize=4096)
def _head(name: str, documentation: str, kind: str, unit: str, form: Format) -> bytes:
    return _write(Metric(name, documentation, kind, unit), form)


def _write(family: Metric, form: Format) -> bytes:
    if form is Format.TEXT:
        return write_text(_Only(family))
    page: bytes = write_openmetrics(_Only(family))  # type: ignore[no-untyped-call]  # the library types only the other
    return page.removesuffix(END[Format.OPENMETRICS])
