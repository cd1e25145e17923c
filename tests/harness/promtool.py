"""Prometheus' own opinion of our metrics and rules, by promtool."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness.binaries import program


def check_metrics(text: str) -> str:
    """What `promtool check metrics` says about an exposition page; empty when it is clean."""
    return _run("check", "metrics", stdin=text)[1].strip()


def check_rules(path: Path) -> tuple[bool, str]:
    """Whether a rule file is valid, and what promtool says."""
    return _run("check", "rules", str(path))


def run_rule_tests(document: Mapping[str, Any], *, folder: Path | None = None) -> tuple[bool, str]:
    """Run a promtool unit test given as its document; `rule_files` in it are absolute or below `folder`."""
    with tempfile.TemporaryDirectory(prefix="dbwatch-promtool-") as own:
        path = Path(own) / "tests.yaml"
        absolute = [str((folder or Path(own)) / name) for name in document.get("rule_files", [])]
        # JSON is YAML, and a large test is written in no time.
        path.write_text(json.dumps({**document, "rule_files": absolute}), encoding="utf-8")
        return _run("test", "rules", str(path))


def _run(*args: str, stdin: str = "") -> tuple[bool, str]:
    done = subprocess.run(
        [str(program("promtool")), *args],
        input=stdin.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    output = done.stdout.decode(errors="replace")
    if done.returncode and not output.strip():
        output = f"promtool {' '.join(args)} ended with {done.returncode} and said nothing"
    return done.returncode == 0, output
