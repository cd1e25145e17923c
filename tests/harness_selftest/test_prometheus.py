"""promtool's verdicts and a real Prometheus' answers arrive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tests.harness import promtool
from tests.harness.prometheus import Prometheus
from tests.harness.waiting import eventually

PAGE = """\
# HELP dbwatch_target_up Whether the target answers.
# TYPE dbwatch_target_up gauge
dbwatch_target_up{target="orders"} 0
"""
RULES = {
    "groups": [
        {
            "name": "g",
            "interval": "1s",
            "rules": [{"alert": "TargetDown", "expr": "dbwatch_target_up == 0", "for": "1s"}],
        }
    ]
}


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(RULES))
    return path


@pytest.fixture
def page() -> Iterator[str]:
    """The address of a server whose /metrics is PAGE."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def test_a_clean_page_is_silence() -> None:
    assert promtool.check_metrics(PAGE) == ""


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        (PAGE.replace("dbwatch_target_up", "dbwatchUp"), "camelCase"),
        ("no metrics at all {", "error while linting"),
    ],
)
def test_a_bad_page_is_named(page: str, complaint: str) -> None:
    assert complaint in promtool.check_metrics(page)


def test_rule_files_are_judged(rules: Path) -> None:
    good, output = promtool.check_rules(rules)
    assert good, output
    rules.write_text("groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]")
    good, output = promtool.check_rules(rules)
    assert not good
    assert "parse error" in output


@pytest.mark.parametrize(("up", "passes"), [("0 0 0", True), ("1 1 1", False)])
def test_rule_tests_run(rules: Path, up: str, passes: bool) -> None:
    good, output = promtool.run_rule_tests(
        {
            "rule_files": [rules.name],
            "evaluation_interval": "1s",
            "tests": [
                {
                    "interval": "1s",
                    "input_series": [{"series": 'dbwatch_target_up{target="orders"}', "values": up}],
                    "alert_rule_test": [
                        {
                            "eval_time": "2s",
                            "alertname": "TargetDown",
                            "exp_alerts": [{"exp_labels": {"target": "orders"}}],
                        }
                    ],
                }
            ],
        },
        folder=rules.parent,
    )
    assert good is passes, output


def test_prometheus_scrapes_answers_and_fires(page: str, rules: Path) -> None:
    with Prometheus([page], rule_files=[rules]) as prometheus:
        prometheus.wait_scraped()
        assert prometheus.value('dbwatch_target_up{target="orders"}') == 0
        assert prometheus.value("absent_metric") is None
        firing = eventually(lambda: [alert for alert in prometheus.alerts() if alert["state"] == "firing"], timeout=15)
        assert firing[0]["labels"]["alertname"] == "TargetDown"
        with pytest.raises(ValueError, match="parse error"):
            prometheus.query("up ==")
