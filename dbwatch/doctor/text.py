"""Owns the doctor's report for a person: what to do first, then every check. Knows no stream."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from dbwatch import units
from dbwatch.doctor.diagnosis import CheckState, Diagnosis, State, Step
from dbwatch.doctor.words import needs
from dbwatch.model import Engine, Role, Status
from dbwatch.report.advice import advice
from dbwatch.report.findings import words
from dbwatch.report.paper import STYLES, Paper, aligned, plain

_STYLES = {
    State.RUNS: STYLES[Status.OK],
    State.DEGRADED: STYLES[Status.WARNING],
    State.SKIPPED: STYLES[Status.SKIPPED],
    State.FAILED: STYLES[Status.UNKNOWN],
    State.OFF: STYLES[Status.SKIPPED],
}
_ORDER = (State.FAILED, State.DEGRADED, State.SKIPPED, State.RUNS, State.OFF)
_MOST_NAMED = 6


def render_text(diagnoses: Sequence[Diagnosis], *, color: bool | None = None, width: int | None = None) -> str:
    """The report. `color` None: as stdout and NO_COLOR say; `width` None: stdout's, 0: endless."""
    paper = Paper(color=color, width=width)
    for one in diagnoses:
        _write(paper, one)
        paper.blank()
    _write_total(paper, diagnoses)
    return paper.content


def _write(paper: Paper, one: Diagnosis) -> None:
    _write_header(paper, one)
    if one.error is not None:
        _write_unreachable(paper, one)
        return
    for step in one.steps:
        paper.blank()
        _write_step(paper, one, step)
    paper.blank()
    _write_checks(paper, one)
    _write_counts(paper, one)


def _write_header(paper: Paper, one: Diagnosis) -> None:
    facts = one.facts
    version = facts.version_text if facts is not None else ""
    parts = [f"{one.target.engine.product} {version}".strip()]
    if facts is not None and one.target.engine.has_roles:
        parts += [str(facts.role), one.target.address, f"as {facts.user}", one.platform.product]
    else:
        parts.append(one.target.address)
    style = {0: "bold", 1: f"bold {STYLES[Status.WARNING]}"}.get(one.exit_code, f"bold {STYLES[Status.CRITICAL]}")
    paper.prose(plain(one.target.name, style).append("   "), plain(" · ".join(part for part in parts if part)))


def _write_unreachable(paper: Paper, one: Diagnosis) -> None:
    assert one.error is not None
    advised = advice(one.target, one.error.reason)
    lead = plain("  ").append_text(plain("UNREACHABLE", STYLES[Status.CRITICAL])).append("  ")
    indent = plain(" " * cell_len(lead.plain))
    message = str(one.error)
    reason = words(one.error.reason)
    paper.prose(lead, plain(message if reason in message.lower() else f"{reason}: {message}"))
    paper.prose(indent, plain(advised.meaning))
    if advised.command is not None:
        paper.line(indent, plain("try: ", "dim"), plain(advised.command, "cyan"))


def _write_step(paper: Paper, one: Diagnosis, step: Step) -> None:
    title = plain("MISSING", STYLES[Status.WARNING]) if step.needed else plain("advice ", "dim")
    lead = plain("  ").append_text(title).append("  ")
    indent = plain(" " * cell_len(lead.plain))
    paper.prose(lead, plain(step.what, "bold" if step.needed else ""))
    paper.prose(indent, plain(step.why, "dim"))
    if step.checks:
        named = ", ".join(step.checks[:_MOST_NAMED])
        more = f" and {len(step.checks) - _MOST_NAMED} more" if len(step.checks) > _MOST_NAMED else ""
        paper.prose(indent, plain(f"for {_count(len(step.checks), 'check')}: {named}{more}", "dim"))
    if step.instead is not None and not step.statements:
        paper.line(indent, plain("do: ", "dim"), plain(step.instead, "cyan"))
        _write_restart(paper, indent, step)
        return
    if not step.statements:
        return
    paper.prose(indent, plain(f"{_where(one, step)}:", "dim"))
    for statement in step.statements:
        paper.line(indent, plain("  "), plain(statement, "cyan"))
    if step.instead is not None:
        first = "then" if one.target.engine is Engine.REDIS else "before it"
        paper.line(indent, plain(f"{first}: ", "dim"), plain(step.instead, "cyan"))
    _write_restart(paper, indent, step)


def _where(one: Diagnosis, step: Step) -> str:
    words_ = [f"as {one.platform.administrator}"]
    if step.database:
        words_.append(f"in database {step.database}")
    if one.facts is not None and one.facts.role is Role.STANDBY and _changes_data(step):
        words_.append("on the primary, from where it comes here")
    return ", ".join(words_)


def _changes_data(step: Step) -> bool:
    """A standby takes its roles, rights and extensions from the primary; settings are each server's own."""
    return not any(statement.startswith(("ALTER SYSTEM", "ACL ")) for statement in step.statements)


def _write_restart(paper: Paper, indent: Text, step: Step) -> None:
    if step.restart:
        paper.prose(indent, plain("it takes effect when the server restarts", "dim"))


def _write_checks(paper: Paper, one: Diagnosis) -> None:
    header = [plain(name, "dim") for name in ("check", "state", "every", "needs", "why")]
    states = sorted(one.checks, key=lambda state: (_ORDER.index(state.state), state.check.group, state.check.name))
    for line in aligned([header, *(_cells(state) for state in states)], gap=2):
        paper.line(plain("  "), line)


def _cells(state: CheckState) -> list[Text]:
    check = state.check
    return [
        plain(check.name),
        plain(str(state.state), _STYLES[state.state]),
        plain(units.duration_text(check.every), "dim"),
        plain(", ".join(needs(check)) or "nothing", "dim"),
        plain(state.message),
    ]


def _write_counts(paper: Paper, one: Diagnosis) -> None:
    parts = []
    for state in _ORDER:
        found = one.in_state(state)
        if not found:
            continue
        text = f"{state} {len(found)}"
        idle = sum(not each.missing for each in found)
        if state is State.SKIPPED and idle:
            text += f" ({len(found) - idle} for want of something)" if idle < len(found) else " (nothing they lack)"
        parts.append(plain(text, _STYLES[state]))
    if parts:
        paper.blank()
        paper.prose(plain("  "), Text(" · ").join(parts))


def _write_total(paper: Paper, diagnoses: Sequence[Diagnosis]) -> None:
    missing = sum(step.needed for one in diagnoses for step in one.steps)
    lost = sum(one.error is not None for one in diagnoses)
    parts = [plain(_count(len(diagnoses), "target"))]
    if lost:
        parts.append(plain(f"{lost} unreachable", STYLES[Status.CRITICAL]))
    if missing:
        parts.append(plain(_count(missing, "thing") + " missing", STYLES[Status.WARNING]))
    elif any(one.exit_code == 1 for one in diagnoses):
        parts.append(plain("not everything could be seen", STYLES[Status.WARNING]))
    elif lost < len(diagnoses):
        parts.append(plain("nothing is missing", STYLES[Status.OK]))
    paper.prose(plain(""), Text(" · ").join(parts))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
