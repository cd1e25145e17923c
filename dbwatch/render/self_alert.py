"""Owns what an alert of dbwatch about itself consists of. Knows none of them."""

from __future__ import annotations

from dataclasses import dataclass

from dbwatch.model import Status


@dataclass(frozen=True, slots=True)
class SelfAlert:
    """An alert with its runbook."""

    name: str
    severity: Status
    expr: str
    for_seconds: float
    summary: str
    description: str
    meaning: str
    mitigation: str
    kind: str = "cause"
