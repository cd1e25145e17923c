"""Owns holding an outcome against what a case expects. Fails with everything that differs, not the first thing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dbwatch.model import Finding, Outcome, Row
from tests.checks.cases import Bound, Expect, ExpectedFinding


def differences(expect: Expect, outcome: Outcome) -> list[str]:
    """What is not as expected, in words."""
    return [*_verdict(expect, outcome), *_findings(expect, outcome), *_rows(expect, outcome)]


_SHOWN_ROWS = 12


def told(outcome: Outcome) -> str:
    """The outcome for a person who has to find out what went wrong."""
    lines = [f"{outcome.status} {outcome.reason or ''}: {outcome.summary}"]
    lines += [f"  finding {f.key!r} {f.status}: {f.message} | fix: {f.fix} | {_all(f)}" for f in outcome.findings]
    lines += [f"  row {r.key!r} {r.status}: {_all(r)}" for r in outcome.rows[:_SHOWN_ROWS]]
    return "\n".join(lines)


def _verdict(expect: Expect, outcome: Outcome) -> Iterator[str]:
    if outcome.status is not expect.status:
        yield f"status is {outcome.status}, not {expect.status}"
    if outcome.reason is not expect.reason:
        yield f"reason is {outcome.reason}, not {expect.reason}"
    for what, pattern, text in (
        ("summary", expect.summary, outcome.summary),
        ("remedy", expect.remedy, outcome.remedy),
    ):
        if pattern is not None and not re.search(pattern, text or ""):
            yield f"{what} is {text!r}, which is not like {pattern!r}"


def _findings(expect: Expect, outcome: Outcome) -> Iterator[str]:
    if expect.no_findings_like is not None:
        for finding in outcome.findings:
            if re.search(expect.no_findings_like, finding.key):
                yield f"there is a finding {finding.key!r}, like {expect.no_findings_like!r}"
    left = list(outcome.findings)
    for expected in [*(expect.findings or ()), *expect.findings_like]:
        match = next((finding for finding in left if re.fullmatch(expected.key, finding.key)), None)
        if match is None:
            yield f"there is no finding with a key like {expected.key!r}"
            continue
        left.remove(match)
        yield from _finding(expected, match)
    for finding in left if expect.findings is not None else ():
        yield f"there is an unexpected finding {finding.key!r}"


def _finding(expected: ExpectedFinding, finding: Finding) -> Iterator[str]:
    if expected.status is not None and finding.status is not expected.status:
        yield f"{finding.key!r} is {finding.status}, not {expected.status}"
    for what, pattern, text in (
        ("message", expected.message, finding.message),
        ("fix", expected.fix, finding.fix),
    ):
        if pattern is not None and not re.search(pattern, text or ""):
            yield f"the {what} of {finding.key!r} is {text!r}, which is not like {pattern!r}"
    yield from _values(expected.values, finding)


def _rows(expect: Expect, outcome: Outcome) -> Iterator[str]:
    if expect.no_rows_like is not None:
        for row in outcome.rows:
            if re.search(expect.no_rows_like, row.key):
                yield f"there is a row {row.key!r}, like {expect.no_rows_like!r}"
    for pattern, values in expect.rows_like.items():
        rows = [row for row in outcome.rows if re.fullmatch(pattern, row.key)]
        if not rows:
            yield f"there is no row with a key like {pattern!r}"
        elif all(list(_values(values, row)) for row in rows):
            yield from (problem for row in rows for problem in _values(values, row))


def _values(expected: Mapping[str, Bound], found: Finding | Row) -> Iterator[str]:
    values = _all(found)
    for name, bound in expected.items():
        if name not in values:
            yield f"{found.key!r} has no value {name}"
        elif not _fits(bound, values[name]):
            yield f"{name} of {found.key!r} is {values[name]!r}, not {bound!r}"


def _all(found: Finding | Row) -> dict[str, float | str | None]:
    return {**found.values, **found.details}


def _fits(bound: Bound, value: float | str | None) -> bool:
    if bound is None or value is None:
        return bound is value
    if isinstance(bound, tuple):
        return isinstance(value, (int, float)) and bound[0] <= value <= bound[1]
    if isinstance(bound, str):
        return isinstance(value, str) and re.fullmatch(bound, value) is not None
    return isinstance(value, (int, float)) and value == bound
