"""Owns turning metric families into bytes, once, and joining such bytes into a page. Knows no check and no store.

prometheus_client's writers render whole pages; ours is joined from many small ones, so a family is kept in two parts:
the head (HELP, TYPE, UNIT), which they write and a page shows once, and the samples, which come from every target. Of
the kinds of family we have, both formats write the samples alike, so those are written once, and by us: the library
takes 10 µs for each, most of it to look whether names of ours are names, and that was half the time of a run. The tests
hold the two equal byte for byte.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest as write_text
from prometheus_client.openmetrics.exposition import generate_latest as write_openmetrics
from prometheus_client.utils import floatToGoString

_shown: Final[Callable[[float], str]] = floatToGoString
_UNITS: Final = ("seconds", "bytes", "ratio")


class Format(StrEnum):
    """The two formats of a page; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


END: Final[Mapping[Format, bytes]] = {Format.TEXT: b"", Format.OPENMETRICS: b"# EOF\n"}


@dataclass(frozen=True, slots=True)
class Part:
    """One family. A page that has one format alone needs no `openmetrics_head`."""

    name: str
    head: bytes
    samples: bytes
    openmetrics_head: bytes = b""


@dataclass(frozen=True, slots=True)
class Block:
    """Some families; `series` is how many samples they hold."""

    parts: tuple[Part, ...] = ()
    series: int = 0


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
    return Block(tuple(_part(family) for family in filled), sum(len(family.samples) for family in filled))


def plain(name: str, text: str, kind: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Part:
    """A family in the text format whose TYPE line says `kind` whatever its name: the library would rename a counter."""
    head = _head(name, text, "gauge", "", Format.TEXT)
    as_gauge, as_kind = (f"# TYPE {name} {word}\n".encode() for word in ("gauge", kind))
    lines = lines_of((name, labels, value) for labels, value in samples)
    return Part(name, head.removesuffix(as_gauge) + as_kind, lines)


def lines_of(samples: Iterable[tuple[str, Mapping[str, str], float]]) -> bytes:
    """Samples of valid names as both formats write them."""
    return "".join([_line(name, labels, value) for name, labels, value in samples]).encode()


def join(blocks: Iterable[Block], form: Format) -> bytes:
    """One page of all blocks, without the page's end."""
    return b"".join(pieces(blocks, form))


def pieces(blocks: Iterable[Block], form: Format) -> list[bytes]:
    """What a page of all blocks is made of: every family once, in the order first seen."""
    families: dict[str, list[bytes]] = {}
    for block in blocks:
        for part in block.parts:
            lines = families.get(part.name)
            if lines is None:
                lines = families[part.name] = [part.head if form is Format.TEXT else part.openmetrics_head]
            lines.append(part.samples)
    return list(itertools.chain.from_iterable(families.values()))


def _unit(name: str) -> str:
    return next((unit for unit in _UNITS if name.endswith(f"_{unit}")), "")


def _part(family: Metric) -> Part:
    lines = lines_of((sample.name, sample.labels, sample.value) for sample in family.samples)
    return Part(family.name, _head_of(family, Format.TEXT), lines, _head_of(family, Format.OPENMETRICS))


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    if not labels:
        return f"{name} {_shown(value)}\n"
    shown = ",".join([f'{label}="{_escaped(labels[label])}"' for label in sorted(labels)])
    return f"{name}{{{shown}}} {_shown(value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


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
