"""Owns the plain text of `dbwatch explain`: what a check or an alert means and what to do. Needs no server."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

from dbwatch.catalogue import Catalogue, Check
from dbwatch.catalogue.contract import LOCK_WORDS, needs
from dbwatch.catalogue.schema import Scope
from dbwatch.render.names import alert_name, find_checks, has_alert
from dbwatch.render.self_alert import SelfAlert
from dbwatch.render.self_alerts import self_alerts
from dbwatch.render.words import level_in_words, one_line, sentence
from dbwatch.units import duration_text

_WIDTH: Final = 100
_TOLERATED_WIDTH: Final = 120


def explain(catalogue: Catalogue, name: str) -> str | None:
    """The text for a check, `engine/check` or any alert; None when nothing is called so."""
    texts = [explain_text(check) for check in find_checks(catalogue, name)]
    texts += [_self_text(alert) for alert in self_alerts(catalogue) if alert.name.lower() == name.lower()]
    return "\n\n".join(texts) or None


def explain_text(check: Check) -> str:
    """Everything the check file says to a person."""
    lines = [f"{check.engine}/{check.name}", sentence(check.summary), ""]
    lines += _wrapped(check.why)
    for status, level in check.levels.items():
        lines += ["", *textwrap.wrap(f"{status}: {level_in_words(level)}", _WIDTH, subsequent_indent="  ")]
    lines += ["", *(line for name, text in properties(check) for line in _property(name, text))]
    for title, text in runbook_parts(check):
        lines += ["", title.upper(), *_indented(text)]
    if check.fix is not None:
        lines += ["", "FIX (filled in by `dbwatch check`)", *textwrap.indent(check.fix.source, "  ").splitlines()]
    return "\n".join(lines)


def runbook_parts(check: Check) -> tuple[tuple[str, str], ...]:
    """The parts that the file has, with their titles."""
    book = check.runbook
    parts = (
        ("Meaning", book.meaning),
        ("Impact", book.impact),
        ("Diagnosis", book.diagnosis),
        ("Mitigation", book.mitigation),
        ("Why this threshold", book.threshold),
        ("Normal behaviour", book.normal),
        ("When to silence it", book.silence),
    )
    return tuple((title, text) for title, text in parts if text is not None)


def properties(check: Check) -> Iterator[tuple[str, str]]:
    """What the check costs, needs and exports, in words; for this text and for the page."""
    place = "each database" if check.scope is Scope.DATABASE else "the server"
    often, longest = duration_text(check.every), duration_text(check.timeout)
    yield "runs", f"every {often}, once for {place}, at most {longest}"
    yield "profile", _profile(check)
    yield "cost", str(check.cost)
    yield "locks", LOCK_WORDS[check.lock]
    yield "needs", needs(check) or "nothing beyond a connection"
    if has_alert(check):
        held = f", once it has lasted {duration_text(check.for_seconds)}" if check.for_seconds else ""
        yield "alert", f"{alert_name(check)}{held}"
    metrics = [column.metric for column in check.columns.values() if column.metric is not None]
    yield "metrics", ", ".join(metrics) or "none of its own"
    ignored = ".".join(check.key)
    if ignored:
        yield "key", ignored


def _profile(check: Check) -> str:
    if check.on_demand:
        return "none: runs only when it is asked for by name"
    return f"{check.profile} and above" + ("" if check.enabled else "; off unless enabled by name")


def _self_text(alert: SelfAlert) -> str:
    lines = [alert.name, alert.summary, "", "MEANING", *_indented(alert.meaning)]
    lines += ["", "MITIGATION", *_indented(alert.mitigation), "", "EXPRESSION"]
    return "\n".join([*lines, textwrap.indent(alert.expr, "  ")])


def _property(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{name + ':':<9} ", subsequent_indent=" " * 10)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(one_line(text), _WIDTH)


def _indented(text: str) -> list[str]:
    """The author's own lines where they fit: they hold commands and lists."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        if line.startswith("    ") or len(line) <= _TOLERATED_WIDTH:
            lines.append(f"  {line.rstrip()}" if line.strip() else "")
        else:
            lines += textwrap.wrap(line, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    return lines
