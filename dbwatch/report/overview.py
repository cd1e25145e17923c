"""Owns what a page says of the targets, as plain words in the order a tired person needs them. Pure; knows no HTML.

Worst first. Checks that are blind for one and the same reason become one entry: a server that is down is one problem,
not fifty.
"""

from __future__ import annotations

import datetime
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.model import Finding, Outcome, Reason, Status
from dbwatch.report.comparison import Comparison
from dbwatch.store import CheckView, TargetView
from dbwatch.units import duration_text

# Beside the words of `Status`: nothing has been said yet.
NEW = "new"
_SHOWN_FINDINGS = 5
# Not an answer yet, and nothing to act on either.
_WAITING = frozenset({Reason.NO_BASELINE})


@dataclass(frozen=True, slots=True)
class Shown:
    """One finding as the page shows it."""

    status: str
    message: str
    fix: str | None
    novelty: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A check that found something, or several that could not look for one reason."""

    status: str
    checks: tuple[str, ...]
    headline: str
    since: str
    since_iso: str
    findings: tuple[Shown, ...] = ()
    more: tuple[Shown, ...] = ()
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One check in the list of all."""

    check: str
    status: str
    summary: str
    age: str
    pace: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class TargetOverview:
    """One server: what it is, whether it is there, what is wrong, and every check."""

    name: str
    status: str
    engine: str
    about: tuple[str, ...]
    is_lost: bool
    link: str
    link_text: str
    message: str
    problems: tuple[Problem, ...]
    groups: tuple[Group, ...]
    skipped: tuple[Line, ...]
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole page."""

    status: str
    headline: str
    targets: tuple[TargetOverview, ...]
    checks: int
    now: str
    now_iso: str


def overview(views: Sequence[TargetView], now_seconds: float, comparison: Comparison | None = None) -> Overview:
    """What there is to say at this moment of the wall clock, and what of it is new to a baseline."""
    shown = [_target(view, now_seconds, comparison) for view in views]
    targets = sorted(shown, key=lambda target: -_severity(target.status))
    now = datetime.datetime.fromtimestamp(now_seconds, tz=datetime.UTC)
    worst = max((target.status for target in targets), key=_severity, default=str(Status.OK))
    return Overview(
        status=worst,
        headline=_headline(targets),
        targets=tuple(targets),
        checks=sum(len(view.checks) for view in views),
        now=f"{now:%H:%M:%S} UTC",
        now_iso=now.isoformat(timespec="seconds"),
    )


def _headline(targets: Sequence[TargetOverview]) -> str:
    if not targets:
        return "No targets"
    # A server that is down is said once, as that; what its checks say follows from it.
    down = sum(target.is_lost for target in targets)
    counts = [dict(target.counts) for target in targets if not target.is_lost]
    critical, warning, unknown = (
        sum(count.get(str(status), 0) for count in counts)
        for status in (Status.CRITICAL, Status.WARNING, Status.UNKNOWN)
    )
    parts = [
        f"{down} down" if down else "",
        f"{critical} critical" if critical else "",
        f"{warning} warning{'s' if warning > 1 else ''}" if warning else "",
        f"{unknown} unknown" if unknown else "",
    ]
    if any(parts):
        return " · ".join(part for part in parts if part)
    return "Looking for the first time" if any(target.status == NEW for target in targets) else "All is well"


def _target(view: TargetView, now_seconds: float, comparison: Comparison | None) -> TargetOverview:
    ran = [(known, known.outcome) for known in view.checks if known.outcome is not None]
    state = view.state
    lost = state.up is False and state.facts is None
    link = {None: NEW, True: "up", False: "down"}[state.up]
    problems = tuple(_problems(ran, now_seconds, functools.partial(_shown, view.target.name, comparison)))
    status = str(Status.CRITICAL) if lost else NEW if not ran else str(_settled(ran))
    told = [out.status for _, out in ran if out.reason not in _WAITING]
    return TargetOverview(
        name=view.target.name,
        status=status,
        engine=view.target.engine.product,
        about=_about(view, now_seconds),
        is_lost=lost,
        link=link,
        link_text={NEW: "not reached yet", "up": "up", "down": f"down: {state.reason}"}[link],
        message=state.message if link == "down" else "",
        problems=problems,
        groups=_groups(view.target, view.checks),
        skipped=tuple(_line(view.target, known) for known, out in ran if out.status is Status.SKIPPED),
        counts=tuple((str(kind), count) for kind in Status if (count := told.count(kind))),
    )


def _settled(ran: Iterable[tuple[CheckView, Outcome]]) -> Status:
    statuses = [out.status for _, out in ran if out.reason not in _WAITING]
    return max(statuses, key=lambda status: max(status.severity, Status.OK.severity), default=Status.OK)


def _about(view: TargetView, now_seconds: float) -> tuple[str, ...]:
    facts = view.state.facts
    parts = [view.target.engine.product if facts is None else f"{view.target.engine.product} {facts.version_text}"]
    if facts is not None and view.target.engine.has_roles:
        parts.append(str(facts.role))
    if view.target.address:
        parts.append(view.target.address)
    if facts is not None and facts.started_at_seconds is not None and view.state.up:
        parts.append(f"running for {duration_text(max(0.0, now_seconds - facts.started_at_seconds))}")
    if stretched := sum(known.stretch > 1.0 for known in view.checks):
        parts.append(f"{stretched} check{'s run' if stretched > 1 else ' runs'} less often: budget")
    if facts is not None and facts.excess:
        parts.append(f"watched with more rights than needed: {', '.join(facts.excess)}")
    return tuple(parts)


def _urgency(pair: tuple[CheckView, Outcome]) -> tuple[int, str, str, float, str]:
    """Worst first; the same cause side by side; among findings those of the checks that are asked most often."""
    check, outcome = pair[0].check, pair[1]
    blind = outcome.summary if outcome.reason is not None else ""
    return -outcome.status.severity, str(outcome.reason), blind, check.every, check.name


def _problems(
    ran: Iterable[tuple[CheckView, Outcome]], now_seconds: float, show: Callable[[Check, Finding], Shown]
) -> Iterable[Problem]:
    bad = [
        (known, out) for known, out in ran if out.status.severity > Status.OK.severity and out.reason not in _WAITING
    ]
    # Findings speak for themselves; checks without one are told apart by why they are blind.
    bad.sort(key=_urgency)
    for cause, same in itertools.groupby(bad, key=_cause):
        members = list(same)
        first, out = members[0]
        changed = [k.changed_at_seconds for k, _ in members if k.changed_at_seconds is not None]
        since = min(changed, default=out.finished_at_seconds)
        shown = tuple(show(first.check, finding) for finding in out.findings)
        yield Problem(
            status=str(out.status),
            checks=tuple(k.check.name for k, _ in members),
            headline=f"{cause[1]}: {out.summary}" if cause[0] == "blind" else out.summary,
            since=duration_text(max(0.0, now_seconds - since)),
            since_iso=datetime.datetime.fromtimestamp(since, tz=datetime.UTC).isoformat(timespec="seconds"),
            findings=shown[:_SHOWN_FINDINGS],
            more=shown[_SHOWN_FINDINGS:],
            remedy=out.remedy,
        )


def _cause(pair: tuple[CheckView, Outcome]) -> tuple[str, str, str]:
    known, out = pair
    if out.findings or out.answered:
        return "found", known.check.name, ""
    return "blind", str(out.reason or "unknown"), out.summary


def _shown(target: str, comparison: Comparison | None, check: Check, finding: Finding) -> Shown:
    news = comparison is not None and comparison.is_news(target, check.name, finding)
    novelty = str(comparison.of(target, check.name, finding)) if comparison is not None and news else None
    return Shown(str(finding.status), finding.message, finding.fix, novelty)


def _groups(target: Target, views: Sequence[CheckView]) -> tuple[Group, ...]:
    asked = [known for known in views if known.outcome is None or known.outcome.status is not Status.SKIPPED]
    asked.sort(key=lambda known: (known.check.group, known.check.name))
    return tuple(
        Group(name.replace("_", " "), tuple(_line(target, known) for known in members))
        for name, members in itertools.groupby(asked, key=lambda known: known.check.group)
    )


def _line(target: Target, known: CheckView) -> Line:
    out = known.outcome
    if out is None:
        return Line(known.check.name, NEW, "not run yet", "")
    age = known.age_seconds
    return Line(
        known.check.name,
        str(out.status),
        _brief(out),
        duration_text(float(round(age))) if age is not None else "",
        _pace(target, known),
    )


def _pace(target: Target, known: CheckView) -> str:
    """Said of a check that waits longer than it should."""
    if known.stretch == 1.0:
        return ""
    interval = target.intervals.get(known.check.name, known.check.every)
    return f"every {duration_text(interval * known.stretch)}, not {duration_text(interval)}: budget"


def _brief(out: Outcome) -> str:
    """What the list of all checks adds to the status: nothing to an ok, and no sentence said above already."""
    if out.status is Status.OK:
        return ""
    if out.status is Status.UNKNOWN and out.reason not in _WAITING:
        return str(out.reason or "").replace("_", " ")
    return f"{out.reason}: {out.summary}" if out.status is Status.SKIPPED else out.summary


def _severity(status: str) -> int:
    return -1 if status == NEW else Status(status).severity
