"""Owns how one check's bad news reads in the text report: the sentence, the things found, the fix ready to paste.

Knows nothing about targets as a whole; what is longer than a person reads is left to the JSON document.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from dbwatch.catalogue import Check
from dbwatch.model import Finding, Outcome, Reason, Status
from dbwatch.report.comparison import Comparison
from dbwatch.report.measures import main_column, value_text
from dbwatch.report.paper import STYLES, Paper, aligned, plain
from dbwatch.template import visible

MOST_FINDINGS = 10
_STATUS_CELLS = 8
_BODY = " " * (2 + _STATUS_CELLS + 2)
_ITEM = _BODY + "  "


@dataclass(frozen=True, slots=True)
class Place:
    """What of a finding's name goes without saying: the one database we are connected to; and what is known already."""

    database: str = ""
    target: str = ""
    comparison: Comparison | None = None

    def news(self, check: Check, finding: Finding) -> str:
        """`new` or `worse`; empty for what the baseline has, and without one."""
        if self.comparison is None or not self.comparison.is_news(self.target, check.name, finding):
            return ""
        return str(self.comparison.of(self.target, check.name, finding))


def headline(paper: Paper, status: Status, name: str, name_cells: int, text: Text, word: str | None = None) -> None:
    """`  CRITICAL  replication_slot   slot "debezium" keeps 38 GiB of WAL`."""
    lead = plain("  ").append_text(plain(f"{(word or status).upper():{_STATUS_CELLS}}", STYLES[status]))
    lead.append_text(plain(f"  {name:{name_cells}}   "))
    paper.prose(lead, text)


def write_found(paper: Paper, check: Check, outcome: Outcome, name_cells: int, place: Place) -> None:
    """A check that found something."""
    found = outcome.findings
    several = len(found) > 1 and check.many is None
    said = plain(f"{check.summary}: {len(found)} found" if several else outcome.summary)
    if outcome.lifetime:
        said.append_text(plain(" (lifetime)", "dim"))
    said.append_text(_known(check, found, place))
    headline(paper, outcome.status, check.name, name_cells, said)
    if not found:
        return
    if len(found) == 1:
        _write_fix(paper, _BODY, _fix(found[0], place))
    else:
        shown = found[:MOST_FINDINGS]
        common = _common_fix(shown, place)
        if several:
            _write_messages(paper, check, shown, place, with_fix=common is None)
        else:
            _write_table(paper, check, shown, place, with_fix=common is None)
        if len(found) > len(shown):
            paper.line(plain(f"{_ITEM}… {len(found) - len(shown)} more: --format json shows all", "dim"))
        if common is not None:
            _write_fix(paper, _BODY, common)
    if outcome.dropped_rows:
        judged = "1 row was judged" if len(outcome.rows) == 1 else f"{len(outcome.rows)} rows were judged"
        paper.prose(plain(f"{_BODY}note: "), plain(f"{judged}, the server has more"))


def write_unknown(paper: Paper, pairs: Sequence[tuple[Check, Outcome]], name_cells: int) -> None:
    """Checks that could not look, all for one reason."""
    check, outcome = pairs[0]
    names = ", ".join(check.name for check, _ in pairs)
    said = plain(reason_text(outcome))
    headline(paper, Status.UNKNOWN, check.name if len(pairs) == 1 else f"{len(pairs)} checks", name_cells, said)
    if len(pairs) > 1:
        paper.prose(plain(_BODY), plain(names, "dim"))
    if outcome.remedy is not None:
        _write_pasted(paper, f"{_BODY}try: ", outcome.remedy)


def reason_text(outcome: Outcome) -> str:
    """`timeout: no answer within 10 s at step query`."""
    reason = words(outcome.reason)
    return f"{reason}: {outcome.summary}" if reason and reason not in outcome.summary.lower() else outcome.summary


def words(reason: Reason | None) -> str:
    return str(reason).replace("_", " ") if reason is not None else ""


def short_key(check: Check, finding: Finding, place: Place) -> str:
    """The key without the database that goes without saying."""
    parts = [
        finding.labels[name]
        for name in check.key
        if name in finding.labels and not (name == "database" and finding.labels[name] == place.database)
    ]
    return ".".join(parts) or finding.key


def _known(check: Check, found: Sequence[Finding], place: Place) -> Text:
    """`(new)`, `(1 new, 1 worse)` or `(unchanged)`, when there is a baseline."""
    if place.comparison is None or not found:
        return plain("")
    news = [word for finding in found if (word := place.news(check, finding))]
    if not news:
        return plain(" (unchanged)", "dim")
    if len(found) == 1:
        return plain(f" ({news[0]})", "bold")
    counts = [f"{news.count(word)} {word}" for word in dict.fromkeys(news)]
    return plain(f" ({', '.join(counts)})", "bold")


def _write_messages(paper: Paper, check: Check, found: Sequence[Finding], place: Place, *, with_fix: bool) -> None:
    mixed = len({finding.status for finding in found}) > 1
    for finding in found:
        lead = plain(_ITEM)
        if word := place.news(check, finding):
            lead.append_text(plain(f"{word} ", "bold"))
        if mixed:
            lead.append_text(plain(f"{finding.status:8} ", STYLES[finding.status]))
        paper.prose(lead, plain(finding.message))
        if with_fix:
            _write_fix(paper, f"{_ITEM}  ", _fix(finding, place))


def _write_table(paper: Paper, check: Check, found: Sequence[Finding], place: Place, *, with_fix: bool) -> None:
    """Key, main value and fix under each other; the fix moves to its own line where it does not fit."""
    mixed = len({finding.status for finding in found}) > 1
    column = main_column(check, found[0])
    rows: list[list[Text]] = []
    news = [place.news(check, finding) for finding in found]
    for finding, word in zip(found, news, strict=True):
        row = [plain(word, "bold")] if any(news) else []
        row += [plain(str(finding.status), STYLES[finding.status])] if mixed else []
        row.append(plain(short_key(check, finding, place)))
        if column is not None:
            row.append(plain(value_text(check, column, finding.values.get(column))))
        rows.append(row)
    right = frozenset({int(any(news)) + int(mixed) + 1}) if column is not None else frozenset[int]()
    lines = aligned(rows, right)
    cells = max(cell_len(line.plain) for line in lines)
    fixes = [_fix(finding, place) if with_fix else None for finding in found]
    widest = max(cell_len(fix or "") for fix in fixes)
    beside = paper.fits(len(_ITEM) + cells + 3 + widest) and not any("\n" in (fix or "") for fix in fixes)
    for fix, line in zip(fixes, lines, strict=True):
        if beside and fix is not None:
            padding = " " * (cells - cell_len(line.plain) + 3)
            paper.line(plain(_ITEM), line, plain(padding), _pasted(fix))
            continue
        paper.line(plain(_ITEM), line)
        _write_fix(paper, f"{_ITEM}  ", fix)


def _fix(finding: Finding, place: Place) -> str | None:
    """The fix, with a comment naming the database to connect to when it is another one than ours."""
    if finding.fix is None:
        return None
    fix, database = finding.fix.strip(), finding.labels.get("database", "")
    if not place.database or not database or database == place.database or "-- in database " in fix.lower():
        return fix
    where = f"-- in database {visible(database)}"
    return f"{where}\n{fix}" if "\n" in fix else f"{fix}  {where}"


def _common_fix(found: Sequence[Finding], place: Place) -> str | None:
    fixes = {_fix(finding, place) for finding in found}
    return fixes.pop() if len(fixes) == 1 else None


def _write_fix(paper: Paper, indent: str, fix: str | None) -> None:
    if fix is not None:
        _write_pasted(paper, f"{indent}fix: ", fix)


def _write_pasted(paper: Paper, lead: str, text: str) -> None:
    """A statement of several lines stays one block; no line is wrapped or cut."""
    for number, line in enumerate(text.strip().splitlines()):
        paper.line(plain(lead if number == 0 else " " * cell_len(lead), "dim"), _pasted(line))


def _pasted(text: str) -> Text:
    return plain(text, "cyan")
