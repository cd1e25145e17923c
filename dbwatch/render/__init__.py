"""Writes what is generated from the catalogue: alert rules, dashboards, pages, and the text of `dbwatch explain`.

Refuses to touch the file system: it returns texts by path, the same texts for the same catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dbwatch.catalogue import Catalogue
from dbwatch.config import Target
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.render.alerts import alert_files
from dbwatch.render.coverage import coverage_page
from dbwatch.render.dashboards import dashboard_files
from dbwatch.render.explain import explain, explain_text
from dbwatch.render.index import index_pages
from dbwatch.render.inhibition import PATH, inhibition_file
from dbwatch.render.kubernetes import FOLDER, kubernetes_files
from dbwatch.render.names import RUNBOOK_BASE, alert_name, find_check, find_checks, has_alert
from dbwatch.render.pages import check_pages
from dbwatch.render.self_alerts import self_alert_file

__all__ = [
    "GENERATED",
    "RUNBOOK_BASE",
    "alert_name",
    "explain",
    "explain_text",
    "find_check",
    "find_checks",
    "render_all",
]

GENERATED: Final = (
    "alerts/*.rules.yaml",
    PATH,
    "dashboards/*.json",
    f"{FOLDER}/dashboards.yaml",
    f"{FOLDER}/prometheus-rules.yaml",
    "docs/checks/*.md",
    "docs/checks/*/*.md",
    "docs/coverage.md",
    "docs/metrics.md",
)
"""What `render_all` may return; a file that fits and is not returned is a leftover of an older catalogue."""


def render_all(
    catalogue: Catalogue, *, targets: Sequence[Target] = (), runbook_base: str = RUNBOOK_BASE
) -> Mapping[str, str]:
    """Every generated file, path below the checkout -> text. Raises ConfigError when alerts cannot be named.

    The alerts of `targets` have the thresholds that their configuration gives them.
    """
    unreachable = sorted(
        {alert_name(check) for check in catalogue if check.probe == CONNECT_PROBE and has_alert(check)}
    )
    explaining = sorted({alert_name(check) for check in catalogue if check.group == "connections" and has_alert(check)})
    labels = sorted({label for check in catalogue for label in check.labels})
    files = [
        *alert_files(catalogue, runbook_base, targets),
        self_alert_file(catalogue, runbook_base),
        (PATH, inhibition_file(unreachable, explaining, labels)),
        *dashboard_files(catalogue),
        *check_pages(catalogue),
        *index_pages(catalogue),
        coverage_page(catalogue),
    ]
    return dict(sorted([*files, *kubernetes_files(dict(files))]))
