"""The inhibition rules, as Alertmanager reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.render.bundled_files import catalogue, rendered

SNIPPET = "alerts/alertmanager-inhibit.yaml"


def test_alertmanager_takes_the_rules(tmp_path: Path) -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("amtool is not on this machine")
    document = {"route": {"receiver": "none"}, "receivers": [{"name": "none"}], **yaml.safe_load(rendered()[SNIPPET])}
    path = tmp_path / "alertmanager.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run([amtool, "check-config", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 inhibit rules" in done.stdout


def test_a_critical_row_does_not_mute_the_warning_of_another() -> None:
    equal = set(yaml.safe_load(rendered()[SNIPPET])["inhibit_rules"][2]["equal"])
    assert {label for check in catalogue() for label in check.labels} <= equal
    assert {"alertname", "target", "job", "instance"} <= equal
