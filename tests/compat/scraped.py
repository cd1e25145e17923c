"""Owns reading a page in the text format as a scraper sees it, every name as it stands. Knows no exporter.

prometheus_client's own parser gives a counter without `_total` another name, which is the very thing to look at here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Labels: TypeAlias = frozenset[tuple[str, str]]

_TYPE = re.compile(r"# TYPE (\S+) (\S+)\Z")
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\Z")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)",?')
_SUFFIX = re.compile(r"_(bucket|sum|count)\Z")


@dataclass(frozen=True, slots=True)
class Scraped:
    """One family: its type, and its samples by their labels. Parts of a histogram carry their suffix as `__part__`."""

    kind: str
    samples: dict[Labels, float] = field(default_factory=dict)

    @property
    def label_names(self) -> tuple[str, ...]:
        return tuple(sorted({name for labels in self.samples for name, _ in labels}))


def read_page(text: str) -> Mapping[str, Scraped]:
    """The families of a page. Raises ValueError for a line that is none."""
    families: dict[str, Scraped] = {}
    for line in text.split("\n"):
        if declared := _TYPE.match(line):
            name = declared.group(1)
            if name in families:
                raise ValueError(f"{name} is declared twice")
            families[name] = Scraped(declared.group(2))
        elif line and not line.startswith("#"):
            sample = _SAMPLE.match(line)
            if sample is None:
                raise ValueError(f"is no sample: {line}")
            name, labels, value = sample.groups()
            base = name if name in families else _SUFFIX.sub("", name)
            part = frozenset({("__part__", name)}) if base != name else frozenset[tuple[str, str]]()
            key = frozenset((label, _unescaped(text)) for label, text in _LABEL.findall(labels or "")) | part
            family = families.setdefault(base, Scraped("untyped"))
            if key in family.samples:
                raise ValueError(f"is there twice: {line}")
            family.samples[key] = float(value)
    return {name: family for name, family in families.items() if family.samples}


def without(page: Mapping[str, Scraped], unwanted: Callable[[Mapping[str, str]], bool]) -> Mapping[str, Scraped]:
    """The page without the samples whose labels are unwanted."""
    kept = {
        name: Scraped(family.kind, {key: value for key, value in family.samples.items() if not unwanted(dict(key))})
        for name, family in page.items()
    }
    return {name: family for name, family in kept.items() if family.samples}


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found.group(1) == "n" else found.group(1), text)
