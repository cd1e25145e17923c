"""Owns the SARIF 2.1.0 log of a report, which code scanning reads. Knows no exit code.

A finding has no line in a source file. Readers want a place all the same: it is the configuration that names the
target, or the target itself; the object stands in the logical location.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from dbwatch import __version__
from dbwatch.catalogue import Check
from dbwatch.model import Finding, Status
from dbwatch.report.comparison import Comparison, Novelty
from dbwatch.report.document import worst_first
from dbwatch.report.findings import reason_text
from dbwatch.report.scalars import JsonValue, scalar_text
from dbwatch.store import TargetView

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Status.CRITICAL: "error", Status.WARNING: "warning"}
_STATES = {Novelty.NEW: "new", Novelty.WORSE: "updated", Novelty.UNCHANGED: "unchanged"}


def render_sarif(views: Sequence[TargetView], *, comparison: Comparison | None, place: str | None) -> str:
    """One run over all targets. `place` is the path of the configuration, when there is one."""
    checks = {f"{check.engine}/{check.name}": check for view in views for check, _ in worst_first(view.checks)}
    rules: dict[str, int] = {name: number for number, name in enumerate(sorted(checks))}
    results: list[JsonValue] = [
        _result(view, check, finding, rules, comparison, place)
        for view in views
        for check, outcome in worst_first(view.checks)
        for finding in outcome.findings
    ]
    if comparison is not None:
        results += _gone(comparison, views, rules, place)
    log: dict[str, JsonValue] = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "dbwatch",
                        "semanticVersion": __version__,
                        "rules": [_rule(name, checks[name]) for name in rules],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": all(view.state.up is not False for view in views),
                        "toolExecutionNotifications": list(_notifications(views, rules)),
                    }
                ],
                "results": results,
                "columnKind": "unicodeCodePoints",
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rule(name: str, check: Check) -> JsonValue:
    book = check.runbook
    level = _LEVELS[Status.CRITICAL if Status.CRITICAL in check.levels else Status.WARNING]
    told = "\n\n".join(
        f"{title}\n{text.strip()}"
        for title, text in (
            ("Meaning", book.meaning),
            ("Impact", book.impact),
            ("Diagnosis", book.diagnosis),
            ("Mitigation", book.mitigation),
        )
    )
    return {
        "id": name,
        "name": check.name,
        "shortDescription": {"text": check.summary},
        "fullDescription": {"text": check.why},
        "help": {"text": told},
        "defaultConfiguration": {"level": level},
        "properties": {"tags": ["database", str(check.engine), check.group]},
    }


def _result(
    view: TargetView,
    check: Check,
    finding: Finding,
    rules: Mapping[str, int],
    comparison: Comparison | None,
    place: str | None,
) -> JsonValue:
    name, target = f"{check.engine}/{check.name}", view.target.name
    fix = scalar_text(finding.fix.strip()) if finding.fix is not None else None
    message = scalar_text(finding.message)
    said: dict[str, JsonValue] = {
        "ruleId": name,
        "ruleIndex": rules[name],
        "level": _LEVELS[finding.status],
        "message": {"text": f"{message}\nfix: {fix}" if fix is not None else message},
        "locations": [_location(target, finding.key, place)],
        "partialFingerprints": {"dbwatchFinding/v1": _fingerprint(target, name, finding.key)},
        "properties": {"target": target, "key": scalar_text(finding.key), "status": str(finding.status)},
    }
    if comparison is not None:
        said["baselineState"] = _STATES[comparison.of(target, check.name, finding)]
    return said


def _gone(
    comparison: Comparison, views: Sequence[TargetView], rules: Mapping[str, int], place: str | None
) -> Iterator[JsonValue]:
    """What the baseline has and this run has not."""
    engines = {view.target.name: view.target.engine for view in views}
    for known in comparison.fixed:
        name = f"{engines[known.target]}/{known.check}"
        yield {
            "ruleId": name,
            "ruleIndex": rules[name],
            "level": _LEVELS[Status(known.status)],
            "message": {"text": f"{scalar_text(known.key)} is no longer found"},
            "locations": [_location(known.target, known.key, place)],
            "partialFingerprints": {"dbwatchFinding/v1": _fingerprint(known.target, name, known.key)},
            "baselineState": "absent",
        }


def _location(target: str, key: str, place: str | None) -> JsonValue:
    uri = quote(place or target, errors="replace")
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}},
        "logicalLocations": [{"fullyQualifiedName": scalar_text(f"{target}/{key}"), "kind": "resource"}],
    }


def _notifications(views: Sequence[TargetView], rules: Mapping[str, int]) -> Iterator[JsonValue]:
    for view in views:
        for check, outcome in worst_first(view.checks):
            if outcome.status is Status.UNKNOWN:
                name = f"{check.engine}/{check.name}"
                yield {
                    "level": "error",
                    "message": {"text": scalar_text(f"{view.target.name}: {check.name}: {reason_text(outcome)}")},
                    "associatedRule": {"id": name, "index": rules[name]},
                }


def _fingerprint(target: str, rule: str, key: str) -> str:
    return hashlib.sha256(f"{target}\0{rule}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()
