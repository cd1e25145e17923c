"""Owns the Markdown of a report, as it is pasted under a pull request. Knows no exit code.

Names and messages come from a database, so nothing in them is markup, a link or a mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from dbwatch import units
from dbwatch.catalogue import Check
from dbwatch.model import Finding, Outcome, Status
from dbwatch.report.comparison import Comparison, Novelty
from dbwatch.report.document import found_beside, worst_first
from dbwatch.report.findings import reason_text
from dbwatch.report.scalars import scalar_text
from dbwatch.report.verdict import overall
from dbwatch.store import TargetView
from dbwatch.template import visible

MOST_FINDINGS = 50
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~@&:])")
_ICONS = {Status.CRITICAL: "🔴", Status.WARNING: "🟠", Status.UNKNOWN: "⚪", Status.OK: "🟢"}


def render_markdown(views: Sequence[TargetView], *, duration_seconds: float, comparison: Comparison | None) -> str:
    """A heading a target, a table a check; the statements that mend are folded under it."""
    status = overall(views)
    parts = [f"## {_ICONS[status]} dbwatch: {status}", _totals(views, duration_seconds)]
    if comparison is not None:
        parts.append(_compared(comparison))
    for view in views:
        parts += _target(view, comparison)
    return "\n\n".join(parts) + "\n"


def _totals(views: Sequence[TargetView], duration_seconds: float) -> str:
    outcomes = [check.outcome for view in views for check in view.checks if check.outcome is not None]
    counts = [
        f"{number} {status}"
        for status in (Status.CRITICAL, Status.WARNING, Status.UNKNOWN, Status.OK, Status.SKIPPED)
        if (number := sum(outcome.status is status for outcome in outcomes))
    ]
    return f"{len(outcomes)} checks in {units.duration_text(duration_seconds)}: {', '.join(counts) or 'none ran'}"


def _compared(comparison: Comparison) -> str:
    counts = [f"**{comparison.count(novelty)} {novelty}**" for novelty in Novelty]
    told = f"{', '.join(counts)}, {len(comparison.fixed)} fixed"
    lines = [f"Against the baseline of {comparison.recorded_at:%Y-%m-%d}: {told}."]
    lines += [f"- fixed: {_plain(known.target)} {_code(known.check)} {_plain(known.key)}" for known in comparison.fixed]
    return "\n".join(lines[: MOST_FINDINGS + 1])


def _target(view: TargetView, comparison: Comparison | None) -> Iterator[str]:
    server = ""
    if view.state.facts is not None:
        server = f" – {view.target.engine.product} {view.state.facts.version_text}".rstrip()
        server += f", {view.state.facts.role}" if view.target.engine.has_roles else ""
    yield f"### {_plain(view.target.name)}{_plain(server)}"
    if view.state.up is False:
        yield f"{_ICONS[Status.CRITICAL]} **unreachable**: {_plain(view.state.message)}"
        return
    quiet = True
    for check, outcome in worst_first(view.checks):
        if outcome.status is Status.UNKNOWN:
            quiet = False
            yield f"{_ICONS[Status.UNKNOWN]} {_code(check.name)}: {_plain(reason_text(outcome))}"
        if outcome.findings:
            quiet = False
            yield _found(view.target.name, check, found_beside(check, outcome) or outcome, comparison)
    if quiet:
        yield "Nothing found."


def _found(target: str, check: Check, outcome: Outcome, comparison: Comparison | None) -> str:
    shown = outcome.findings[:MOST_FINDINGS]
    lines = [f"{_ICONS[outcome.status]} {_code(check.name)}: {_plain(check.summary)}", ""]
    lines += ["| | finding |", "|---|---|"]
    for finding in shown:
        mark = ""
        if comparison is not None and comparison.is_news(target, check.name, finding):
            mark = f" **{comparison.of(target, check.name, finding)}**"
        lines.append(f"| {finding.status}{mark} | {_plain(finding.message)} |")
    if len(outcome.findings) > len(shown):
        lines.append(f"| | {len(outcome.findings) - len(shown)} more |")
    fixes = "\n".join(dict.fromkeys(_fix(finding) for finding in shown if finding.fix is not None))
    if fixes:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", fixes)), default=0))
        lines += ["", "<details><summary>fix</summary>", "", f"{fence}sql", fixes, fence, "", "</details>"]
    return "\n".join(lines)


def _fix(finding: Finding) -> str:
    return scalar_text((finding.fix or "").strip())


def _plain(text: str) -> str:
    """The text and nothing but the text, on one line."""
    return _MARKUP.sub(r"\\\1", scalar_text(visible(text)))


def _code(name: str) -> str:
    return f"`{name}`"
