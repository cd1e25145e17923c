"""Owns the JSON document of a report: schema_version 1, additive changes only. Knows no terminal and no HTTP.

`dbwatch check --format json` writes it, the daemon serves it at /api/v1/status.

A check stands in `checks` from its first outcome on: what has not run has neither a status nor a duration, and the
target's own status is the worst of what stands there. `pending_checks` says how many are still to come.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from dbwatch import __version__
from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.model import Facts, Finding, Outcome, Reason, Row, Status, worst
from dbwatch.report.comparison import Comparison, Novelty
from dbwatch.report.scalars import JsonValue, scalar_number, scalar_text
from dbwatch.report.verdict import overall
from dbwatch.store import CheckView, TargetView

SCHEMA_VERSION = 1


def document(
    views: Sequence[TargetView],
    *,
    started_at_seconds: float,
    duration_seconds: float,
    rows: bool = False,
    counts: bool = False,
    comparison: Comparison | None = None,
) -> dict[str, JsonValue]:
    """The report as plain data. `started_at_seconds` is the wall clock; with `counts` it says how runs ended."""
    started = datetime.datetime.fromtimestamp(started_at_seconds, tz=datetime.UTC)
    content: dict[str, JsonValue] = {
        "schema_version": SCHEMA_VERSION,
        "dbwatch_version": __version__,
        "status": str(overall(views)),
        "started_at": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "duration_seconds": scalar_number(round(duration_seconds, 6)),
        "targets": [_target(view, rows, counts, comparison) for view in views],
    }
    if comparison is not None:
        content["baseline"] = _baseline(comparison)
    return content


def document_text(content: Mapping[str, JsonValue]) -> str:
    """The document as indented JSON, ending in a newline. UTF-8 has a code for every character in it."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def worst_first(views: Sequence[CheckView]) -> list[tuple[Check, Outcome]]:
    """The checks that have an outcome: worst first, among equals those that are asked most often, then by name.

    What is asked every 15 s (who blocks whom) is more urgent than what is asked every hour (which index is unused).
    """
    ran = [(view.check, view.outcome) for view in views if view.outcome is not None]
    return sorted(ran, key=lambda pair: (-pair[1].status.severity, pair[0].every, pair[0].group, pair[0].name))


def found_beside(check: Check, outcome: Outcome) -> Outcome | None:
    """What a check found in some databases while others could not be looked at; None where that is not so."""
    if outcome.status is not Status.UNKNOWN or not outcome.findings:
        return None
    found = outcome.findings
    summary = found[0].message if len(found) == 1 else f"{check.summary}: {len(found)} found"
    return replace(outcome, status=worst(finding.status for finding in found), summary=summary, reason=None)


def _baseline(comparison: Comparison) -> dict[str, JsonValue]:
    counts: dict[str, JsonValue] = {str(novelty): comparison.count(novelty) for novelty in Novelty}
    return {
        "recorded_at": comparison.recorded_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **counts,
        "fixed": [
            {
                "target": known.target,
                "check": known.check,
                "key": scalar_text(known.key),
                "status": known.status,
            }
            for known in comparison.fixed
        ],
    }


def _target(view: TargetView, rows: bool, counts: bool, comparison: Comparison | None) -> dict[str, JsonValue]:
    known = {check.check.name: check for check in view.checks}
    checks = worst_first(view.checks)
    return {
        "target": view.target.name,
        "engine": str(view.target.engine),
        "status": str(view.status),
        "reason": _reason(view, checks),
        "server": _server(view.state.facts),
        "checks": [
            {
                **_check(view.target.name, check, outcome, known[check.name].age_seconds, rows, comparison),
                **_stretched(view.target, known[check.name]),
                **(_runs(known[check.name]) if counts else {}),
            }
            for check, outcome in checks
        ],
        "address": scalar_text(view.target.address),
        "up": view.state.up,
        "message": scalar_text(view.state.message) or None,
        "pending_checks": len(view.checks) - len(checks),
    }


def _reason(view: TargetView, checks: Sequence[tuple[Check, Outcome]]) -> str | None:
    """Why the target cannot be judged: the connection's reason, or else that of its first unknown check."""
    if view.state.up is False:
        return _name(view.state.reason)
    if view.status is not Status.UNKNOWN:
        return None
    return next((_name(outcome.reason) for _, outcome in checks if outcome.status is Status.UNKNOWN), None)


def _server(facts: Facts | None) -> dict[str, JsonValue] | None:
    if facts is None:
        return None
    said: dict[str, JsonValue] = {
        "version": scalar_text(facts.version_text),
        "role": str(facts.role),
        "flavour": scalar_text(facts.flavour),
    }
    if facts.excess:
        said["excess"] = list(facts.excess)
    return said


def _check(
    target: str,
    check: Check,
    outcome: Outcome,
    age_seconds: float | None,
    rows: bool,
    comparison: Comparison | None,
) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {
        "check": check.name,
        "group": check.group,
        "status": str(outcome.status),
        "reason": _name(outcome.reason),
        "summary": scalar_text(outcome.summary),
        "duration_seconds": scalar_number(round(outcome.duration_seconds, 6)),
        "database_seconds": scalar_number(round(outcome.database_seconds, 6)),
        "age_seconds": scalar_number(round(max(0.0, age_seconds), 3)) if age_seconds is not None else None,
        "findings": [_finding(finding) for finding in outcome.findings],
    }
    if rows:
        said["rows"] = [_row(row) for row in outcome.rows]
    if outcome.remedy is not None:
        said["remedy"] = scalar_text(outcome.remedy)
    if outcome.step is not None:
        said["step"] = scalar_text(outcome.step)
    if outcome.lifetime:
        said["lifetime"] = True
    if outcome.dropped_rows:
        said["truncated"] = True
    if comparison is not None:
        said["findings"] = [
            {**_finding(finding), "baseline": str(comparison.of(target, check.name, finding))}
            for finding in outcome.findings
        ]
    return said


def _stretched(target: Target, known: CheckView) -> dict[str, JsonValue]:
    """Nothing of a check that runs as often as it should."""
    if known.stretch == 1.0:
        return {}
    interval = target.intervals.get(known.check.name, known.check.every) * known.stretch
    return {"stretched": {"reason": str(Reason.BUDGET), "interval_seconds": scalar_number(interval)}}


def _runs(known: CheckView) -> dict[str, JsonValue]:
    return {"runs": {str(status): count for status, count in sorted(known.runs.items())}}


def _finding(finding: Finding) -> dict[str, JsonValue]:
    return {
        "key": scalar_text(finding.key),
        "status": str(finding.status),
        "message": scalar_text(finding.message),
        "fix": scalar_text(finding.fix) if finding.fix is not None else None,
        "labels": _texts(finding.labels),
        "values": _numbers(finding.values),
        "details": _texts(finding.details),
    }


def _row(row: Row) -> dict[str, JsonValue]:
    return {
        "labels": _texts(row.labels),
        "values": _numbers(row.values),
        "status": str(row.status),
        "key": scalar_text(row.key),
        "details": _texts(row.details),
    }


def _name(word: object) -> str | None:
    return str(word) if word is not None else None


def _texts(texts: Mapping[str, str | None]) -> dict[str, JsonValue]:
    return {name: scalar_text(text) if text is not None else None for name, text in texts.items()}


def _numbers(values: Mapping[str, float | None]) -> dict[str, JsonValue]:
    return {name: scalar_number(value) for name, value in values.items()}
