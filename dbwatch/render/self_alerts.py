"""Owns the rule file of the alerts about dbwatch itself: `alerts/self.rules.yaml`.

Refuses to know what any check measures.
"""

from __future__ import annotations

from typing import Final

from dbwatch.catalogue import Catalogue
from dbwatch.render.alerts import KEEP_FIRING_SECONDS
from dbwatch.render.boards import SELF, board_uid
from dbwatch.render.daemon_alerts import daemon_alerts, target_alerts
from dbwatch.render.rules import Rule, rule_file, split
from dbwatch.render.run_alerts import run_alerts, verdict_alerts
from dbwatch.render.self_alert import SelfAlert

PAGE: Final = "docs/checks/dbwatch.md"

_VARIABLES: Final = (
    "var-job={{ $labels.job | urlquery }}{{ with $labels.target }}&var-target={{ . | urlquery }}{{ end }}"
)
"""An empty `var-target` would choose no target at all, and leave the dashboard empty."""


def self_alerts(catalogue: Catalogue) -> tuple[SelfAlert, ...]:
    """All of them, in the order of the file."""
    return (*daemon_alerts(), *target_alerts(catalogue), *run_alerts(), *verdict_alerts(catalogue))


def self_alert_file(catalogue: Catalogue, runbook_base: str) -> tuple[str, str]:
    """Path and text of the rule file."""
    rules = [_rule(alert, runbook_base) for alert in self_alerts(catalogue)]
    text = rule_file("Alerts of dbwatch about itself", "dbwatch/render/self_alerts.py", split("dbwatch.self", rules))
    return "alerts/self.rules.yaml", text


def _rule(alert: SelfAlert, runbook_base: str) -> Rule:
    return Rule(
        alert=alert.name,
        expr=alert.expr,
        for_seconds=alert.for_seconds,
        keep_firing_for_seconds=KEEP_FIRING_SECONDS[alert.severity],
        labels={"severity": str(alert.severity), "component": "dbwatch", "kind": alert.kind},
        annotations={
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{runbook_base}/dbwatch.md#{alert.name.lower()}",
            "dashboard_url": f"/d/{board_uid(SELF)}?{_VARIABLES}",
            "command": f"dbwatch explain {alert.name}",
        },
    )
