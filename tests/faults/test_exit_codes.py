"""Row 56: what `dbwatch check` says by its exit code, and which stream says what. For scripts, cron and CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.chosen import config
from tests.acceptance.command import dbwatch
from tests.harness.postgres import Postgres


@pytest.fixture
def url(newest_pg: Postgres) -> str:
    return newest_pg.create_monitor_role("caller", grants=("pg_monitor", "pg_read_all_data"))


@pytest.mark.parametrize(
    ("levels", "plain", "critical_only"),
    [
        ("", 0, 0),
        ("{warning: number > 1}", 1, 0),
        ("{critical: number > 1}", 2, 2),
        ("{critical: number > 1, warning: number > 0}", 2, 2),
    ],
)
def test_row_56_exit_codes(tmp_path: Path, url: str, levels: str, plain: int, critical_only: int) -> None:
    thresholds = f", thresholds: {{chosen: {levels}}}" if levels else ""
    path = config(tmp_path, f"name: shop, engine: postgres, url: '{url}'{thresholds}")
    run = ("check", "--config", path, "--check", "chosen")
    assert dbwatch(*run).code == plain
    assert dbwatch(*run, "--fail-on", "critical").code == critical_only
    assert dbwatch(*run, "--format", "json").document["status"] == ("ok", "warning", "critical")[plain]


def test_row_56_the_worst_target_decides(tmp_path: Path, url: str) -> None:
    dead = "name: dead, engine: postgres, url: 'postgresql://u@127.0.0.1:1/d'"
    fine = f"name: fine, engine: postgres, url: '{url}'"
    bad = f"name: bad, engine: postgres, url: '{url}', thresholds: {{chosen: {{critical: number > 1}}}}"
    path = config(tmp_path, dead, fine, bad)
    run = ("check", "--config", path, "--check", "chosen")
    assert dbwatch(*run, "fine").code == 0
    assert dbwatch(*run, "bad", "fine").code == 2
    assert dbwatch(*run, "dead", "fine").code == 3
    everything = dbwatch(*run, "--format", "json")
    assert everything.code == 2
    assert [target["target"] for target in everything.document["targets"]] == ["dead", "fine", "bad"]


def test_row_56_stdout_has_results_and_stderr_has_logs(url: str) -> None:
    quiet = dbwatch("check", url, "--format", "json")
    assert quiet.err == ""
    assert quiet.document["schema_version"] == 1
    told = dbwatch("check", url, "--format", "json", "--log-level", "debug")
    assert told.document["schema_version"] == 1
    assert "check changed" in told.err


@pytest.mark.parametrize("output_format", ["json", "text", "nagios"])
def test_row_56_nobody_there_is_a_whole_report_and_3(output_format: str) -> None:
    answer = dbwatch("check", "postgresql://u@127.0.0.1:1/d", "redis://127.0.0.1:1/0", "--format", output_format)
    assert answer.code == 3
    assert answer.err == ""
    assert "refused" in answer.out
    if output_format == "json":
        document = json.loads(answer.out)
        assert [(target["up"], target["reason"]) for target in document["targets"]] == [(False, "refused")] * 2


def test_row_56_a_configuration_that_cannot_be_used_is_3_and_no_result(tmp_path: Path) -> None:
    path = tmp_path / "dbwatch.yaml"
    path.write_text("targets: [\n")
    for asked in (("--config", path), ("--config", tmp_path / "nowhere"), ("--nonsense",)):
        answer = dbwatch("check", *asked, "--format", "json")
        assert answer.code == 3
        assert answer.out == ""
        assert answer.err.strip()
        assert "Traceback" not in answer.err


def test_row_56_logs_go_to_the_other_stream_and_leave_the_result_whole(url: str) -> None:
    asked = ("--check", "server_unreachable", "--check", "idle_in_transaction")
    answer = dbwatch("check", url, "postgresql://u@127.0.0.1:1/d", *asked, "--format", "json", "--log-level", "debug")
    assert answer.code == 3
    assert json.loads(answer.out)["schema_version"] == 1
    events = [json.loads(line) for line in answer.err.splitlines()]
    assert "target down" in {event["event"] for event in events}
