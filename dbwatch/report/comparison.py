"""Owns what a run is beside a baseline: what is new, worse, unchanged, gone. Knows no file and no report format."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from dbwatch.model import Finding
from dbwatch.report.scalars import scalar_text


class Novelty(StrEnum):
    """What a baseline says of a finding."""

    NEW = "new"
    WORSE = "worse"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Fixed:
    """A finding of the baseline that is there no more."""

    target: str
    check: str
    key: str
    status: Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """This run held against a baseline. `new_unknown` are checks that could look then and cannot now."""

    recorded_at: datetime.datetime
    marks: Mapping[tuple[str, str, str], Novelty]
    fixed: tuple[Fixed, ...]
    new_unknown: frozenset[tuple[str, str]]

    def of(self, target: str, check: str, finding: Finding) -> Novelty:
        return self.marks[target, check, scalar_text(finding.key)]

    def is_news(self, target: str, check: str, finding: Finding) -> bool:
        return self.of(target, check, finding) is not Novelty.UNCHANGED

    def count(self, novelty: Novelty) -> int:
        return sum(mark is novelty for mark in self.marks.values())
