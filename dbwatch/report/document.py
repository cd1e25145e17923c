"""Owns the JSON document of a report: schema_version 1, additive changes only. Knows no terminal and no HTTP.

`dbwatch check --format json` writes it, the daemon serves it at /api/v1/status.

A check stands in `checks` from its first outcome on: what has not run has neither a status nor a duration, and the
target's own status is the worst of what stands there. `pending_checks` says how many are still to come.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from dbwatch import __version__
from dbwatch.catalogue import Check
from dbwatch.model import Facts, Finding, Outcome, Row, Status
from dbwatch.report.verdict import overall
from dbwatch.store import CheckView, TargetView

SCHEMA_VERSION = 1

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_EXACT = 2.0**53
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def document(
    views: Sequence[TargetView], *, started_at_seconds: float, duration_seconds: float, rows: bool = False
) -> dict[str, JsonValue]:
    """The report as plain data. `started_at_seconds` is the wall clock."""
    started = datetime.datetime.fromtimestamp(started_at_seconds, tz=datetime.UTC)
    return {
        "schema_version": SCHEMA_VERSION,
        "dbwatch_version": __version__,
        "status": str(overall(views)),
        "started_at": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "duration_seconds": _number(round(duration_seconds, 6)),
        "targets": [_target(view, rows=rows) for view in views],
    }


def document_text(content: Mapping[str, JsonValue]) -> str:
    """The document as indented JSON, ending in a newline. UTF-8 has a code for every character in it."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def worst_first(views: Sequence[CheckView]) -> list[tuple[Check, Outcome]]:
    """The checks that have an outcome: worst first, among equals those that are asked most often, then by name.

    What is asked every 15 s (who blocks whom) is more urgent than what is asked every hour (which index is unused).
    """
    ran = [(view.check, view.outcome) for view in views if view.outcome is not None]
    return sorted(ran, key=lambda pair: (-pair[1].status.severity, pair[0].every, pair[0].group, pair[0].name))


def _target(view: TargetView, *, rows: bool) -> dict[str, JsonValue]:
    ages = {check.check.name: check.age_seconds for check in view.checks}
    checks = worst_first(view.checks)
    return {
        "target": view.target.name,
        "engine": str(view.target.engine),
        "status": str(view.status),
        "reason": _reason(view, checks),
        "server": _server(view.state.facts),
        "checks": [_check(check, outcome, ages[check.name], rows=rows) for check, outcome in checks],
        "address": _text(view.target.address),
        "up": view.state.up,
        "message": _text(view.state.message) or None,
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
    return {"version": _text(facts.version_text), "role": str(facts.role), "flavour": _text(facts.flavour)}


def _check(check: Check, outcome: Outcome, age_seconds: float | None, *, rows: bool) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = {
        "check": check.name,
        "group": check.group,
        "status": str(outcome.status),
        "reason": _name(outcome.reason),
        "summary": _text(outcome.summary),
        "duration_seconds": _number(round(outcome.duration_seconds, 6)),
        "age_seconds": _number(round(max(0.0, age_seconds), 3)) if age_seconds is not None else None,
        "findings": [_finding(finding) for finding in outcome.findings],
    }
    if rows:
        said["rows"] = [_row(row) for row in outcome.rows]
    if outcome.remedy is not None:
        said["remedy"] = _text(outcome.remedy)
    if outcome.step is not None:
        said["step"] = _text(outcome.step)
    if outcome.lifetime:
        said["lifetime"] = True
    if outcome.dropped_rows:
        said["truncated"] = True
    return said


def _finding(finding: Finding) -> dict[str, JsonValue]:
    return {
        "key": _text(finding.key),
        "status": str(finding.status),
        "message": _text(finding.message),
        "fix": _text(finding.fix) if finding.fix is not None else None,
        "labels": _texts(finding.labels),
        "values": _numbers(finding.values),
        "details": _texts(finding.details),
    }


def _row(row: Row) -> dict[str, JsonValue]:
    return {
        "labels": _texts(row.labels),
        "values": _numbers(row.values),
        "status": str(row.status),
        "key": _text(row.key),
        "details": _texts(row.details),
    }


def _name(word: object) -> str | None:
    return str(word) if word is not None else None


def _texts(texts: Mapping[str, str | None]) -> dict[str, JsonValue]:
    return {name: _text(text) if text is not None else None for name, text in texts.items()}


def _numbers(values: Mapping[str, float | None]) -> dict[str, JsonValue]:
    return {name: _number(value) for name, value in values.items()}


def _text(text: str) -> str:
    """JSON has no code for half of a surrogate pair, and strict readers refuse one."""
    return _SURROGATE.sub("\ufffd", text)


def _number(value: float | None) -> JsonValue:
    """1.0 is written 1; what no JSON number can say is null."""
    if value is None or not math.isfinite(value):
        return None
    return int(value) if abs(value) <= _EXACT and float(value).is_integer() else float(value)
