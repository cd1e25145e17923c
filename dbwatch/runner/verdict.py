"""Owns turning rows into a verdict: levels, findings, sentences. Pure; no I/O, no clock but the given date."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dbwatch.catalogue import Check
from dbwatch.config import Ignore
from dbwatch.levels import Sample, evaluate, holds
from dbwatch.model import Finding, Row, Status, worst
from dbwatch.runner.samples import Reading, sample


@dataclass(frozen=True, slots=True)
class Verdict:
    status: Status
    summary: str
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]


def judge(
    check: Check,
    rows: Sequence[Row],
    before: Reading | None,
    read_at: float,
    *,
    lifetime: bool = False,
    ignores: Sequence[Ignore] = (),
    today: datetime.date,
) -> Verdict:
    """Judge every row against the check's levels, worst level first."""
    judged: list[Row] = []
    findings: list[Finding] = []
    for row in rows:
        seen = sample(check, row, before, read_at, lifetime=lifetime)
        row = _with_derived(check, row, seen)
        status = _status(check, seen)
        if status is not Status.OK and any(ignore.covers(check.name, row.key, today) for ignore in ignores):
            status = Status.OK
        row = replace(row, status=status)
        judged.append(row)
        if status is not Status.OK:
            findings.append(_finding(check, row))
    findings.sort(key=lambda finding: (-finding.status.severity, -_weight(check, finding), finding.key))
    status = worst(finding.status for finding in findings)
    return Verdict(status, _summary(check, judged, findings), tuple(judged), tuple(findings))


def _with_derived(check: Check, row: Row, seen: Sample) -> Row:
    if not check.derived:
        return row
    values = dict(row.values)
    for name, expression in check.derived.items():
        value = evaluate(expression, seen)
        values[name] = float(value) if isinstance(value, (int, float)) else None
    return replace(row, values=values)


def _status(check: Check, seen: Sample) -> Status:
    for status, expression in check.levels.items():
        if holds(expression, seen):
            return status
    return Status.OK


def _finding(check: Check, row: Row) -> Finding:
    known: Mapping[str, float | str | bool | None] = {**row.labels, **row.details, **row.values}
    return Finding(
        key=row.key,
        status=row.status,
        message=check.message.render(known),
        fix=check.fix.render_or_none(known) if check.fix is not None else None,
        labels=row.labels,
        values=row.values,
        details=row.details,
    )


def _weight(check: Check, finding: Finding) -> float:
    """Among findings of one status the biggest comes first, by the first exported column."""
    for name in check.exported:
        return finding.values.get(name) or 0.0
    return 0.0


def _is_blind(check: Check, row: Row) -> bool:
    """True for a row of which nothing that is exported is known."""
    return bool(check.exported) and all(row.values.get(name) is None for name in check.exported)


def _summary(check: Check, rows: Sequence[Row], findings: Sequence[Finding]) -> str:
    if not findings:
        blind = sum(_is_blind(check, row) for row in rows)
        unknown = f", {blind} of them unknown" if blind else ""
        return f"nothing found in {len(rows)} rows{unknown}" if len(rows) != 1 or blind else "nothing found"
    if len(findings) == 1 or check.many is None:
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        return findings[0].message + more
    totals: dict[str, float | str | bool | None] = {"count": float(len(findings))}
    for name in findings[0].values:
        numbers = [value for finding in findings if (value := finding.values.get(name)) is not None]
        totals[f"total_{name}"] = sum(numbers) if numbers else None
        totals[f"max_{name}"] = max(numbers, default=None)
        totals[f"min_{name}"] = min(numbers, default=None)
    return check.many.render(totals)
