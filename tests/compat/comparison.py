"""Owns comparing an exporter's page with ours, family by family. Pure.

The exporter is asked before our collectors ran and after: between two readings a counter lies between them, and so does
whatever grows with time. No clock is compared with another.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.compat.scraped import Labels, Scraped


class Aspect(StrEnum):
    """In what a family may differ."""

    MISSING = "missing"
    EXTRA = "extra"
    TYPE = "type"
    LABELS = "labels"
    FEWER = "fewer series"
    MORE = "more series"
    VALUES = "values"


@dataclass(frozen=True, slots=True)
class Allowance:
    """A difference we stand by, and why. `families` is a glob; `slack` bounds how far values may be off."""

    families: str
    aspects: frozenset[Aspect]
    reason: str
    slack: float = math.inf

    def covers(self, difference: Difference) -> bool:
        return (
            difference.aspect in self.aspects
            and fnmatch.fnmatchcase(difference.family, self.families)
            and difference.by <= self.slack
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """One family that differs in one aspect; `by` is how far values are off."""

    family: str
    aspect: Aspect
    detail: str
    by: float = 0.0

    def __str__(self) -> str:
        return f"{self.family}: {self.aspect}: {self.detail}"


def allowed(families: str, reason: str, *aspects: Aspect, slack: float = math.inf) -> Allowance:
    return Allowance(families, frozenset(aspects), reason, slack)


def compare(
    before: Mapping[str, Scraped], ours: Mapping[str, Scraped], after: Mapping[str, Scraped]
) -> Iterator[Difference]:
    """Every difference between our page and the exporter's, asked before and after."""
    for name in sorted({*before, *after, *ours}):
        theirs = [page[name] for page in (before, after) if name in page]
        if name not in ours:
            if len(theirs) == 2:
                yield Difference(name, Aspect.MISSING, f"{len(theirs[0].samples)} series")
        elif not theirs:
            yield Difference(name, Aspect.EXTRA, f"{len(ours[name].samples)} series")
        else:
            yield from _family(name, theirs, ours[name])


def _family(name: str, theirs: Sequence[Scraped], ours: Scraped) -> Iterator[Difference]:
    if ours.kind != theirs[0].kind:
        yield Difference(name, Aspect.TYPE, f"{theirs[0].kind} there, {ours.kind} here")
    if ours.label_names not in {page.label_names for page in theirs}:
        yield Difference(name, Aspect.LABELS, f"{theirs[0].label_names} there, {ours.label_names} here")
        return
    always = set.intersection(*(set(page.samples) for page in theirs)) if len(theirs) == 2 else set[Labels]()
    ever = set.union(*(set(page.samples) for page in theirs))
    if lacking := always - ours.samples.keys():
        yield Difference(name, Aspect.FEWER, f"{len(lacking)} series, as {_shown(min(lacking, key=sorted))}")
    if beyond := ours.samples.keys() - ever:
        yield Difference(name, Aspect.MORE, f"{len(beyond)} series, as {_shown(min(beyond, key=sorted))}")
    yield from _values(name, theirs, ours)


def _values(name: str, theirs: Sequence[Scraped], ours: Scraped) -> Iterator[Difference]:
    worst: Difference | None = None
    for labels, value in ours.samples.items():
        known = [page.samples[labels] for page in theirs if labels in page.samples]
        if len(known) < 2:
            continue  # what came or went in between has no bounds
        low, high = min(known), max(known)
        by = max(low - value, value - high, 0.0)
        if not math.isfinite(by) or by > 1e-9 * max(abs(low), abs(high), 1.0):
            detail = f"{_shown(labels)} is {value}, there {low} to {high}"
            found = Difference(name, Aspect.VALUES, detail, by if math.isfinite(by) else math.inf)
            worst = found if worst is None or found.by > worst.by else worst
    if worst is not None:
        yield worst


def _shown(labels: Labels) -> str:
    return "{" + ", ".join(f"{name}={value!r}" for name, value in sorted(labels)) + "}"
