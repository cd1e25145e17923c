"""Owns the JUnit XML of a report: a suite a target, a test case a check. Knows no exit code.

Fits the schema of the Jenkins xUnit plug-in (junit-10.xsd), which GitLab, GitHub actions and Azure read as well.
"""

from __future__ import annotations

import datetime
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

from dbwatch.catalogue import Check
from dbwatch.model import Finding, Outcome, Status
from dbwatch.report.comparison import Comparison
from dbwatch.report.document import worst_first
from dbwatch.report.findings import reason_text
from dbwatch.store import TargetView

_UNSAYABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(
    views: Sequence[TargetView],
    *,
    started_at_seconds: float,
    duration_seconds: float,
    fail_on: Status,
    comparison: Comparison | None,
    only_new: bool,
) -> str:
    """One document. What `--fail-on` or `--fail-on-new` lets pass is told as output of a case that passed."""
    root = ElementTree.Element("testsuites", name="dbwatch", time=f"{duration_seconds:.3f}")
    started = datetime.datetime.fromtimestamp(started_at_seconds, tz=datetime.UTC)
    for view in views:
        suite = ElementTree.SubElement(root, "testsuite", name=_text(view.target.name))
        counts = dict.fromkeys(("failures", "errors", "skipped"), 0)
        pairs = worst_first(view.checks)
        for check, outcome in pairs:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=_text(f"{view.target.name}.{check.group}"),
                name=check.name,
                time=f"{outcome.duration_seconds:.3f}",
            )
            failing = [
                finding
                for finding in outcome.findings
                if _fails(view.target.name, check, finding, fail_on, comparison, only_new=only_new)
            ]
            # As the exit code has it: a check that could not look then either is no news, a lost server always is.
            passes = (
                only_new
                and comparison is not None
                and view.state.up is not False
                and (view.target.name, check.name) not in comparison.new_unknown
            )
            kind = _fill(case, check, outcome, failing, unknown_passes=passes)
            if kind is not None:
                counts[kind] += 1
        suite.set("tests", str(len(pairs)))
        for name, count in counts.items():
            suite.set(name, str(count))
        suite.set("time", f"{sum(outcome.duration_seconds for _, outcome in pairs):.3f}")
        suite.set("timestamp", started.strftime("%Y-%m-%dT%H:%M:%S"))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _fails(
    target: str, check: Check, finding: Finding, fail_on: Status, comparison: Comparison | None, *, only_new: bool
) -> bool:
    if finding.status.severity < fail_on.severity:
        return False
    return not only_new or comparison is None or comparison.is_news(target, check.name, finding)


def _fill(
    case: ElementTree.Element, check: Check, outcome: Outcome, failing: Sequence[Finding], *, unknown_passes: bool
) -> str | None:
    """What became of the case; returns the attribute of the suite that counts it."""
    if outcome.status is Status.UNKNOWN and not unknown_passes:
        said = ElementTree.SubElement(case, "error", type=str(outcome.reason or "unknown"))
        said.set("message", _text(reason_text(outcome)))
        said.text = _text(_body(failing)) if failing else None
        return "errors"
    if outcome.status is Status.SKIPPED or (outcome.status is Status.UNKNOWN and not failing):
        ElementTree.SubElement(case, "skipped").text = _text(reason_text(outcome))
        return "skipped"
    if failing:
        worst = max(failing, key=lambda finding: finding.status.severity)
        summary = outcome.summary if len(failing) == len(outcome.findings) else f"{check.summary}: {len(failing)} found"
        said = ElementTree.SubElement(case, "failure", type=str(worst.status), message=_text(summary))
        said.text = _text(_body(failing))
        return "failures"
    if outcome.findings:
        ElementTree.SubElement(case, "system-out").text = _text(_body(outcome.findings))
    return None


def _body(findings: Sequence[Finding]) -> str:
    parts = []
    for finding in findings:
        fix = f"\n  fix: {finding.fix.strip()}" if finding.fix is not None else ""
        parts.append(f"{finding.status}: {finding.message}\n  key: {finding.key}{fix}")
    return "\n".join(parts)


def _text(text: str) -> str:
    """XML has no code for most control characters, not even escaped."""
    return _UNSAYABLE.sub("\ufffd", text)
