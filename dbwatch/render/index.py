"""Owns the pages over all checks: the table of checks, the alerts about dbwatch, the list of metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dbwatch.catalogue import Catalogue, Check
from dbwatch.catalogue.contract import availability, versions
from dbwatch.catalogue.schema import Use
from dbwatch.model import Engine, Status
from dbwatch.render.markdown import GENERATED, code, fenced, table
from dbwatch.render.names import alert_name, has_alert
from dbwatch.render.self_alerts import PAGE, self_alerts
from dbwatch.render.self_metrics import SELF_METRICS
from dbwatch.render.words import sentence
from dbwatch.units import duration_text

_CHECKS: Final = """\
Each is one file below `checks/`, and everything here is generated from it.
Cost is the class of one run, lock what a run may have to wait for: nothing, the system catalogs, or for 200 ms a
relation. The alerts about dbwatch itself are on [their own page](dbwatch.md)."""

_METRICS: Final = """\
Every series also carries the labels that a target's configuration gives it. Absent means not known: nothing is
exported as 0 or NaN for want of an answer. Names end in their base unit."""

_ALERTS: Final = """\
## How the alerts are made

Every check with levels has one alert, and the level is its expression: `warning` and `critical` share a name and differ
by the label `severity`, so that one inhibition rule mutes the lesser (`alerts/alertmanager-inhibit.yaml` has it and
others). `component` is the engine; `kind` says whether the alert is a `symptom` that users feel or a `cause`.

- **Freshness.** No expression asks how old its samples are. The daemon takes a check's samples away when its last
  success is older than two intervals and the timeout, and a target's when it goes down. What Prometheus sees is
  therefore what is known; what is not known is the business of `DbwatchCheckUnknown`, `DbwatchCheckStale` and
  `DbwatchTargetDown`.
- **Windows.** `rate()` and `delta()` look back four intervals of the check, at least 2 minutes, and forecasts
  (`eta()`) at least 6 hours. Scrape at least every 30 seconds: a window needs several scrapes.
- **Own thresholds and ignored findings.** A target whose configuration changes a check's thresholds, interval or
  ignored findings exports `dbwatch_check_overridden`; for that check the alert then follows the daemon's verdict,
  `dbwatch_check_findings`, and the default threshold is out of force.
- **What PromQL cannot say** (text that is not exported, an absolute amount of `delta()`) asks for the verdict in the
  same way. The page of the check says so.
- **Gaps.** `keep_firing_for` is 5 minutes for critical and 15 for warning alerts, so a missed scrape or a restart of
  the daemon does not resolve an alert and send it anew. It needs Prometheus 2.42.
"""


def index_pages(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Path and text of the pages that are not about one check."""
    yield "docs/checks/README.md", _checks(catalogue)
    yield PAGE, _own_alerts(catalogue)
    yield "docs/metrics.md", _metrics(catalogue)


def _checks(catalogue: Catalogue) -> str:
    parts = [
        GENERATED,
        "# Checks",
        f"{len(catalogue.checks)} checks. {_CHECKS}",
    ]
    for engine in Engine:
        checks = sorted(catalogue.of(engine), key=lambda check: (check.group, check.name))
        if checks:
            parts += [f"## {engine.product}", table(_HEAD, [_line(check) for check in checks])]
    return "\n\n".join([*parts, _ALERTS])


_HEAD: Final = (
    "Group",
    "Check",
    "What it finds",
    "Alert",
    "Severity",
    "Runs every",
    "Profile",
    "Cost",
    "Privilege",
    "Lock",
    "Versions",
)


def _line(check: Check) -> tuple[str, ...]:
    severities = " / ".join(str(status) for status in check.levels) or "none"
    return (
        check.group,
        f"[{check.name}]({check.engine}/{check.name}.md)",
        check.summary,
        code(alert_name(check)) if has_alert(check) else "none",
        severities,
        duration_text(check.every),
        availability(check),
        str(check.cost),
        check.requires.privilege or "none",
        str(check.lock),
        versions(check),
    )


def _own_alerts(catalogue: Catalogue) -> str:
    parts = [
        GENERATED,
        "# Alerts about dbwatch itself",
        "What can go wrong with the monitor, and checks that have no alert of their own.",
    ]
    for alert in self_alerts(catalogue):
        severity = "critical" if alert.severity is Status.CRITICAL else "warning"
        held = duration_text(alert.for_seconds)
        parts += [
            f"## {alert.name}",
            f"{alert.summary} ({severity}, after {held})",
            alert.meaning,
            alert.mitigation,
            fenced(alert.expr, "promql"),
        ]
    return "\n\n".join(parts) + "\n"


def _metrics(catalogue: Catalogue) -> str:
    own = [
        (code(metric.name), metric.kind, ", ".join(map(code, metric.labels)), metric.help) for metric in SELF_METRICS
    ]
    parts = [
        GENERATED,
        "# Metrics",
        _METRICS,
        "## About targets, checks and the daemon",
        table(("Metric", "Type", "Labels", "Meaning"), own),
        "The process metrics of the Prometheus client (`process_*`, `python_*`) stand beside them.",
    ]
    for engine in Engine:
        rows = [row for check in catalogue.of(engine) for row in _exported(check)]
        if rows:
            parts += [
                f"## {engine.product}",
                table(("Metric", "Type", "Labels", "Check", "Meaning"), sorted(rows)),
            ]
    return "\n\n".join(parts) + "\n"


def _exported(check: Check) -> Iterator[tuple[str, ...]]:
    labels = ", ".join(map(code, ("target", *check.labels)))
    page = f"[{check.name}](checks/{check.engine}/{check.name}.md)"
    for column in check.exported.values():
        kind = "counter" if column.use is Use.COUNTER else "gauge"
        yield code(column.metric or ""), kind, labels, page, sentence(column.help or "")
