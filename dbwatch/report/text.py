"""Owns the text report: a block a target, worst first, and one line that sums it all up. Knows no stream.

Written for a person at a terminal at night: what is wrong, how bad, the statement that mends it, and nothing that
needs the manual. Plain and complete in a pipe.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from dbwatch import units
from dbwatch.catalogue import Check
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.model import Outcome, Reason, Status
from dbwatch.report.advice import advice
from dbwatch.report.comparison import Comparison, Novelty
from dbwatch.report.document import found_beside, worst_first
from dbwatch.report.findings import MOST_FINDINGS, Place, reason_text, words, write_found, write_unknown
from dbwatch.report.paper import STYLES, Paper, plain
from dbwatch.report.tables import write_rows
from dbwatch.report.verdict import overall
from dbwatch.store import TargetView
from dbwatch.template import visible

_DO_NOT_APPLY = frozenset({Reason.ROLE, Reason.VERSION, Reason.PLATFORM, Reason.SETTING})
_MOST_FOREIGN = 4
_FLAVOURS = {
    "postgresql": "PostgreSQL",
    "redis": "Redis",
    "pgbouncer": "PgBouncer",
    "valkey": "Valkey",
    "keydb": "KeyDB",
    "dragonfly": "Dragonfly",
    "linux": "Linux",
}
_PIPE_HINT_CELLS = 120
_LONGEST_NAME = 28


def render_text(
    views: Sequence[TargetView],
    *,
    duration_seconds: float,
    color: bool | None = None,
    width: int | None = None,
    rows: bool = False,
    comparison: Comparison | None = None,
) -> str:
    """The report for a person. `color` None: as stdout and NO_COLOR say; `width` None: stdout's, 0: endless."""
    paper = Paper(color=color, width=width)
    for view in sorted(views, key=lambda view: -view.status.severity):
        _write_target(paper, view, rows=rows, comparison=comparison)
        paper.blank()
    _write_total(paper, views, duration_seconds)
    if comparison is not None:
        _write_comparison(paper, comparison)
    return paper.content


def _write_target(paper: Paper, view: TargetView, *, rows: bool, comparison: Comparison | None) -> None:
    _write_header(paper, view)
    pairs = worst_first(view.checks)
    if view.state.up is False:
        # The check of the connection says the same as the block, and the others could not ask anything.
        lost = sum(outcome.status is Status.UNKNOWN for _, outcome in pairs)
        pairs = [
            (check, outcome)
            for check, outcome in pairs
            if check.probe != CONNECT_PROBE and outcome.status is not Status.UNKNOWN
        ]
        _write_unreachable(paper, view, lost)
    unknown = _grouped([pair for pair in pairs if pair[1].status is Status.UNKNOWN])
    found = [pair for pair in pairs if pair[1].status in (Status.CRITICAL, Status.WARNING)]
    found += [(check, beside) for check, outcome in pairs if (beside := found_beside(check, outcome)) is not None]
    titles = [check.name for check, _ in found]
    titles += [group[0][0].name if len(group) == 1 else f"{len(group)} checks" for group in unknown]
    cells = min(_LONGEST_NAME, max((len(title) for title in titles), default=0))
    place = Place(view.state.facts.database if view.state.facts is not None else "", view.target.name, comparison)
    for check, outcome in found:
        if outcome.status is Status.CRITICAL:
            write_found(paper, check, outcome, cells, place)
    for group in unknown:
        write_unknown(paper, group, cells)
    for check, outcome in found:
        if outcome.status is Status.WARNING:
            write_found(paper, check, outcome, cells, place)
    hint = found[0][0].name if found else unknown[0][0][0].name if unknown else None
    _write_rest(paper, view, pairs, hint)
    if rows:
        for check, outcome in sorted(pairs, key=lambda pair: (pair[0].every, pair[0].group, pair[0].name)):
            write_rows(paper, check, outcome)


def _write_header(paper: Paper, view: TargetView) -> None:
    """`orders   PostgreSQL 17.2 · primary · db.internal:5432 · up 41 days`."""
    facts, target = view.state.facts, view.target
    parts = []
    if facts is None:
        parts.append(target.engine.product)
    else:
        name = _FLAVOURS.get(facts.flavour, f"{target.engine.product} ({facts.flavour})" if facts.flavour else "")
        parts.append(f"{name or target.engine.product} {facts.version_text}".strip())
        if target.engine.has_roles:
            parts.append(str(facts.role))
    parts.append(target.address)
    if facts is not None and facts.started_at_seconds is not None:
        parts.append(f"up {units.duration_text(max(0.0, time.time() - facts.started_at_seconds))}")
    style = f"{STYLES[view.status]} bold" if view.status is not Status.OK else "bold"
    paper.prose(plain(target.name, style).append("   "), plain(" · ".join(part for part in parts if part)))


def _write_unreachable(paper: Paper, view: TargetView, lost: int) -> None:
    reason, message = view.state.reason, view.state.message
    advised = advice(view.target, reason)
    said = (
        f"{words(reason)}: {message}" if message and words(reason) not in message.lower() else message or words(reason)
    )
    lead = plain("  ").append_text(plain("UNREACHABLE", STYLES[Status.CRITICAL])).append("  ")
    indent = plain(" " * cell_len(lead.plain))
    paper.prose(lead, plain(said))
    paper.prose(indent, plain(advised.meaning))
    if advised.command is not None:
        paper.line(indent, plain("try: ", "dim"), plain(advised.command, "cyan"))
    if lost:
        paper.prose(indent, plain(f"{_count(lost, 'check')} could not run", "dim"))


def _grouped(pairs: Sequence[tuple[Check, Outcome]]) -> list[list[tuple[Check, Outcome]]]:
    """Checks that failed for one reason stand together: a lost privilege is one problem, not twelve."""
    groups: dict[tuple[str, str | None], list[tuple[Check, Outcome]]] = {}
    for check, outcome in pairs:
        groups.setdefault((reason_text(outcome), outcome.remedy), []).append((check, outcome))
    return list(groups.values())


def _write_rest(paper: Paper, view: TargetView, pairs: Sequence[tuple[Check, Outcome]], hint: str | None) -> None:
    """What needs no attention: `ok 44 · skipped 3: slow_statement (needs the extension …)`."""
    ok = sum(outcome.status is Status.OK for _, outcome in pairs)
    skipped = [pair for pair in pairs if pair[1].status is Status.SKIPPED]
    waiting = sum(check.outcome is None for check in view.checks)
    said = Text()
    if ok:
        alone = ok > 1 and ok == len(view.checks)
        said.append_text(plain(f"all {ok} checks ok" if alone else f"ok {ok}", STYLES[Status.OK]))
    if skipped:
        said.append_text(plain(f"{' · ' if said else ''}skipped {len(skipped)}: {_why_skipped(skipped)}", "dim"))
    if waiting:
        said.append_text(plain(f"{' · ' if said else ''}not run yet {waiting}", "dim"))
    command = f"dbwatch explain {hint}" if hint is not None else ""
    room = paper.width or _PIPE_HINT_CELLS
    beside = bool(command) and 2 + cell_len(said.plain) + 6 + len(command) <= room
    if said and beside:
        paper.line(plain("  "), said, plain("      "), plain(command, "dim"))
    elif said:
        paper.prose(plain("  "), said)
    _write_remedies(paper, skipped)
    if command and not (said and beside):
        paper.line(plain("  "), plain(command, "dim"))


def _why_skipped(skipped: Sequence[tuple[Check, Outcome]]) -> str:
    """The names by reason; of questions that do not arise on this server, when they are many, the number alone."""
    foreign = [pair for pair in skipped if pair[1].remedy is None and pair[1].reason in _DO_NOT_APPLY]
    named = skipped if len(foreign) <= _MOST_FOREIGN else [pair for pair in skipped if pair not in foreign]
    groups: dict[str, list[str]] = {}
    for check, outcome in named:
        groups.setdefault(outcome.summary, []).append(check.name)
    reasons = [f"{', '.join(names)} ({why})" for why, names in groups.items()]
    if named is not skipped:
        reasons.append(f"{len(foreign)} that do not apply to this server")
    return ", ".join(reasons)


def _write_remedies(paper: Paper, skipped: Sequence[tuple[Check, Outcome]]) -> None:
    """The statements that would let skipped checks run, each once."""
    remedies: dict[str, int] = {}
    for _, outcome in skipped:
        if outcome.remedy is not None:
            remedies[outcome.remedy] = remedies.get(outcome.remedy, 0) + 1
    for remedy, count in remedies.items():
        paper.line(plain(f"    to run {_count(count, 'more check')}: ", "dim"), plain(remedy.strip(), "cyan"))


def _write_total(paper: Paper, views: Sequence[TargetView], duration_seconds: float) -> None:
    """`2 targets · 1 critical · 1 warning · 58 checks in 0.9 s, 41 ms of database time`."""
    reached = [view for view in sorted(views, key=lambda view: -view.status.severity) if view.state.up is not False]
    outcomes = [check.outcome for view in reached for check in view.checks if check.outcome is not None]
    parts = [plain(_count(len(views), "target"))]
    if len(reached) < len(views):
        parts.append(plain(f"{len(views) - len(reached)} unreachable", STYLES[Status.CRITICAL]))
    for status in (Status.CRITICAL, Status.WARNING, Status.UNKNOWN):
        count = sum(outcome.status is status for outcome in outcomes)
        if count:
            plural = "s" if status is Status.WARNING and count > 1 else ""
            parts.append(plain(f"{count} {status}{plural}", STYLES[status]))
    if overall(views) is Status.OK:
        parts.append(plain("all ok", STYLES[Status.OK]))
    spent = units.duration_text(sum(outcome.database_seconds for outcome in outcomes))
    took = f"{duration_seconds:.1f} s" if 0.1 <= duration_seconds < 1 else units.duration_text(duration_seconds)
    checks = f"{_count(len(outcomes), 'check')} in {took}"
    parts.append(plain(f"{checks}, {spent} of database time" if outcomes else checks))
    paper.prose(plain(""), Text(" · ").join(parts))
    if any(outcome.lifetime and outcome.status is not Status.OK for outcome in outcomes):
        paper.prose(plain(""), plain("lifetime: counters were read once and judged since they last started", "dim"))


def _write_comparison(paper: Paper, comparison: Comparison) -> None:
    """`baseline of 2026-01-31: 2 new, 0 worse, 5 unchanged, 1 fixed`, and what is fixed."""
    counts = [f"{comparison.count(novelty)} {novelty}" for novelty in Novelty]
    told = f"{', '.join(counts)}, {len(comparison.fixed)} fixed"
    paper.prose(plain(""), plain(f"baseline of {comparison.recorded_at:%Y-%m-%d}: {told}"))
    for known in comparison.fixed[:MOST_FINDINGS]:
        key = "" if known.key == known.check else f" {visible(known.key)}"
        paper.prose(plain("  "), plain(f"fixed  {known.target} {known.check}{key}", STYLES[Status.OK]))
    if len(comparison.fixed) > MOST_FINDINGS:
        paper.line(plain(f"  … {len(comparison.fixed) - MOST_FINDINGS} more: --format json shows all", "dim"))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
