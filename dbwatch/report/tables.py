"""Owns the table of everything a check measured, for `--rows`. Judges nothing, leaves nothing out."""

from __future__ import annotations

from rich.text import Text

from dbwatch.catalogue import Check
from dbwatch.model import Outcome, Row, Status
from dbwatch.report.measures import NO_VALUE, value_text
from dbwatch.report.paper import STYLES, Paper, aligned, plain


def write_rows(paper: Paper, check: Check, outcome: Outcome) -> None:
    """Labels, numbers and evidence of every row; nothing for a check without rows."""
    rows = outcome.rows
    if not rows:
        return
    paper.blank()
    count = f"{len(rows)} row" if len(rows) == 1 else f"{len(rows)} rows"
    more = ", the server has more" if outcome.dropped_rows else ""
    paper.line(plain("  "), plain(check.name, "bold"), plain(f"   {count}{more}", "dim"))
    labels, values, details = (_names(rows, part) for part in ("labels", "values", "details"))
    header = [plain(name, "dim") for name in ("status", *labels, *values, *details)]
    body = [_cells(check, row, labels, values, details) for row in rows]
    right = frozenset(range(1 + len(labels), 1 + len(labels) + len(values)))
    for line in aligned([header, *body], right, gap=2):
        paper.line(plain("    "), line)


def _names(rows: tuple[Row, ...], part: str) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in getattr(row, part)))


def _cells(check: Check, row: Row, labels: list[str], values: list[str], details: list[str]) -> list[Text]:
    style = STYLES[row.status] if row.status is not Status.OK else "dim"
    return [
        plain(str(row.status), style),
        *(plain(row.labels.get(name, NO_VALUE)) for name in labels),
        *(plain(value_text(check, name, row.values.get(name))) for name in values),
        *(plain(NO_VALUE if (text := row.details.get(name)) is None else text) for name in details),
    ]
