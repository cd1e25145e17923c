"""Owns the alert of each check: `alerts/<engine>.rules.yaml`. Refuses to know how levels become PromQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import indent
from typing import Final

from dbwatch.catalogue import Catalogue, Check
from dbwatch.catalogue.schema import RENAMED_IN_ALERTS
from dbwatch.config import Target
from dbwatch.errors import ConfigError, Problem
from dbwatch.model import Engine, Status
from dbwatch.render.boards import panel_path
from dbwatch.render.expression import AlertExpression, alert_expression
from dbwatch.render.names import ALERT_NAME_LENGTH, alert_name, has_alert
from dbwatch.render.rules import Group, Rule, rule_file, split
from dbwatch.render.variants import Variant, variants
from dbwatch.render.words import level_in_words, one_line, sentence

TARGET_VARIABLES: Final = "var-job={{ $labels.job | urlquery }}&var-target={{ $labels.target | urlquery }}"
"""The alert's own job and target, chosen on the dashboard."""

KEEP_FIRING_SECONDS: Final = {Status.CRITICAL: 300.0, Status.WARNING: 900.0}
"""A missed scrape or a restart of the daemon must not resolve an alert and send it anew."""

_LONG_WAIT_SECONDS: Final = 6 * 3600.0


def alert_files(catalogue: Catalogue, runbook_base: str, targets: Sequence[Target] = ()) -> Iterator[tuple[str, str]]:
    """The rule file of every engine that has alerts, with the thresholds of the targets that have their own.

    Raises ConfigError for names that cannot be.
    """
    _refuse_bad_names(catalogue)
    for engine in Engine:
        groups = list(_groups(catalogue, engine, runbook_base, targets))
        if groups:
            title = f"Alerts of dbwatch for {engine.product}"
            yield f"alerts/{engine}.rules.yaml", rule_file(title, f"checks/{engine}/", groups)


def check_rules(
    check: Check, runbook_base: str, *, shared: bool = False, variant: Variant | None = None
) -> Iterator[Rule]:
    """The rules of one check, critical before warning; `shared` when another engine has a check of its name."""
    if not has_alert(check):
        return
    for status in check.levels:
        expression = alert_expression(check, status, shared=shared, variant=variant)
        yield Rule(
            alert=alert_name(check),
            expr=_renamed(check, _without_gaps(expression.promql, for_seconds(check, status))),
            for_seconds=for_seconds(check, status),
            keep_firing_for_seconds=check.alert.keep_firing_for or KEEP_FIRING_SECONDS[status],
            labels=_labels(check, status),
            annotations={
                "summary": _literal(sentence(check.summary)),
                "description": description(check, status, expression),
                "runbook_url": f"{runbook_base}/{check.engine}/{check.name}.md",
                "dashboard_url": panel_path(check, TARGET_VARIABLES),
                "command": f"dbwatch explain {check.name} --target {{{{ $labels.target }}}}",
            },
        )


def description(check: Check, status: Status, expression: AlertExpression) -> str:
    """Where, how much, against which limit, and why it matters, in Prometheus' template language."""
    limit = _literal(f"{status} when {level_in_words(check.levels[status])}")
    names = [(name, RENAMED_IN_ALERTS.get(name, name)) for name in check.labels]
    labels = "".join(f"{{{{ with $labels.{label} }}}}, {name} {{{{ . }}}}{{{{ end }}}}" for name, label in names)
    where = "{{ $labels.target }}" + labels
    found = "{{ $value }} found"
    if expression.reason is not None:
        said = f"{found} ({limit})"
    elif expression.subject is None:
        value = limit if expression.is_flag else f"{limit}; what crossed it is at {{{{ $value | humanize }}}}"
        said = f"{{{{ if $labels.check }}}}{found} by the limits of this target{{{{ else }}}}{value}{{{{ end }}}}"
    else:
        value = f"{expression.subject} is {expression.unit.template} ({limit})"
        said = f"{{{{ if $labels.check }}}}{found} by the limits of this target{{{{ else }}}}{value}{{{{ end }}}}"
    return f"{where}: {said}. {_literal(one_line(check.why))}"


def for_seconds(check: Check, status: Status) -> float:
    """How long the level must hold before the alert fires."""
    own = check.alert.for_critical if status is Status.CRITICAL else None
    return own if own is not None else check.for_seconds


def _literal(text: str) -> str:
    """Words of a check file, which may hold what Prometheus would take for a template."""
    return text.replace("{{", '{{ "{{" }}')


def _without_gaps(promql: str, for_seconds: float) -> str:
    """A gap of a few scrapes starts the waiting anew, and a day without one is rare: a long wait overlooks them."""
    if for_seconds < _LONG_WAIT_SECONDS:
        return promql
    return f"last_over_time((\n{indent(promql, '  ')}\n)[10m:1m])"


def _renamed(check: Check, promql: str) -> str:
    """The rows' own label goes by another name where the rule's would replace it, and rows would become one."""
    for name, label in RENAMED_IN_ALERTS.items():
        if name in check.labels:
            promql = f'label_replace(\n{indent(promql, "  ")},\n  "{label}", "$1", "{name}", "(.+)"\n)'
    return promql


def _labels(check: Check, status: Status) -> dict[str, str]:
    """A label of the rule replaces the row's: the catalogue lets no column have one of these names, but see above."""
    return {"severity": str(status), "component": str(check.engine), "kind": check.alert.kind}


def _groups(catalogue: Catalogue, engine: Engine, runbook_base: str, targets: Sequence[Target]) -> Iterator[Group]:
    checks = sorted(catalogue.of(engine), key=lambda check: check.name)
    for name in sorted({check.group for check in checks}):
        rules = [
            rule
            for check in checks
            if check.group == name
            for variant in variants(check, targets)
            for rule in check_rules(
                variant.check, runbook_base, shared=len(catalogue.named(check.name)) > 1, variant=variant
            )
        ]
        yield from split(f"dbwatch.{engine}.{name}", rules)


def _refuse_bad_names(catalogue: Catalogue) -> None:
    problems: list[Problem] = []
    owners: dict[str, Check] = {}
    for check in filter(has_alert, catalogue):
        name = alert_name(check)
        owner = owners.setdefault(name, check)
        if owner is not check:
            message = f"{name} is the alert of {owner.file} already"
            problems.append(Problem(check.file, None, "alert.name", message, "give it a name of its own"))
        if len(name) > ALERT_NAME_LENGTH:
            message = f"{name} is longer than {ALERT_NAME_LENGTH} characters"
            problems.append(Problem(check.file, None, "alert.name", message, "give it a shorter name"))
    if problems:
        raise ConfigError(problems)
