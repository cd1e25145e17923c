"""Owns the page of each check: `docs/checks/<engine>/<name>.md`, where an alert's runbook link leads.

Refuses to know more than the check file says.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbwatch.catalogue import Catalogue, Check
from dbwatch.catalogue.schema import Use
from dbwatch.levels import canonical
from dbwatch.model import Status
from dbwatch.render.alerts import KEEP_FIRING_SECONDS, for_seconds
from dbwatch.render.explain import properties, runbook_parts
from dbwatch.render.expression import alert_expression
from dbwatch.render.markdown import GENERATED, code, fenced, prose, table
from dbwatch.render.names import alert_name, has_alert, page_path
from dbwatch.render.words import level_in_words, sentence
from dbwatch.units import duration_text


def check_pages(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Path and text of every page."""
    for check in catalogue:
        yield page_path(check), check_page(check)


def check_page(check: Check) -> str:
    """The text of one page."""
    runbook = [part for title, text in runbook_parts(check) for part in (f"## {title}", prose(text))]
    parts = [
        GENERATED,
        f"# {check.name}",
        sentence(check.summary),
        prose(check.why),
        *runbook,
        *_fix(check),
        *_levels(check),
        "## Facts",
        table(("", ""), list(properties(check))),
        *_columns(check),
        *_source(check),
        f"[All checks](../README.md) · `dbwatch explain {check.name}` prints this text without a network.",
    ]
    return "\n\n".join(parts) + "\n"


def _fix(check: Check) -> Iterator[str]:
    if check.fix is not None:
        yield "The statement that `dbwatch check` fills in for each finding:"
        yield fenced(check.fix.source, "sql" if check.sql else "")


def _levels(check: Check) -> Iterator[str]:
    yield "## Levels"
    if not check.levels:
        yield "None: this check measures and does not judge."
        return
    yield table(
        ("Status", "When", "As written"),
        [(str(status), level_in_words(level), code(canonical(level))) for status, level in check.levels.items()],
    )
    if check.derived:
        words = [f"{code(name)} is {code(canonical(expression))}" for name, expression in check.derived.items()]
        yield f"Here {', '.join(words)}."
    yield f"A target may have its own: `thresholds: {{{check.name}: {{warning: …}}}}` in `dbwatch.yaml`."
    if not has_alert(check):
        yield "It has no alert of its own."
        return
    for status in check.levels:
        yield from _alert(check, status)


def _alert(check: Check, status: Status) -> Iterator[str]:
    expression = alert_expression(check, status)
    held = duration_text(for_seconds(check, status)) if for_seconds(check, status) else "no time"
    kept = duration_text(check.alert.keep_firing_for or KEEP_FIRING_SECONDS[status])
    yield f'{code(alert_name(check))} with `severity="{status}"` fires after {held} and stays for {kept}:'
    yield fenced(expression.promql, "promql")
    if expression.reason is not None:
        yield f"It asks for the verdict and not for the numbers, since {expression.reason}."


def _columns(check: Check) -> Iterator[str]:
    exported = [(code(column.metric or ""), str(column.use), column.help or "") for column in check.exported.values()]
    labels = ", ".join(code(name) for name in ("target", *check.labels))
    if exported:
        yield "## Metrics"
        yield f"Labels: {labels}."
        yield table(("Metric", "Type", "Meaning"), exported)
    details = [code(name) for name, column in check.columns.items() if column.use is Use.DETAIL]
    if details:
        yield f"Shown with a finding and not exported: {', '.join(details)}."


def _source(check: Check) -> Iterator[str]:
    yield "## Question"
    if check.command is not None:
        yield f"The reply of {code(check.command)}."
    if check.probe is not None:
        yield f"Measured by dbwatch itself: the probe {code(check.probe)}."
    if check.only_if is not None:
        yield "Asked only where this finds a row:"
        yield fenced(check.only_if, "sql")
        yield "The question itself:"
    for version, sql in sorted(check.sql.items()):
        if version != (0,):
            yield f"From version {'.'.join(map(str, version))}:"
        yield fenced(sql, "sql")
