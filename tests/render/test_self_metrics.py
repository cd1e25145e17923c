"""The list of our own metrics is the one that the daemon exports."""

from __future__ import annotations

import re

from dbwatch.render.self_metrics import SELF_METRICS
from tests.render.bundled_files import ROOT

# In the rules ahead of the exposition; without it an alert is its level and nothing else.
AHEAD: set[str] = set()


def test_the_exposition_and_the_list_name_the_same_metrics() -> None:
    sources = (ROOT / "dbwatch" / "exposition").glob("*.py")
    exported = {name for path in sources for name in re.findall(r'"(dbwatch_[a-z_]+)"', path.read_text("utf-8"))}
    declared = {metric.name for metric in SELF_METRICS}
    assert exported - declared == set()
    assert declared - exported <= AHEAD


def test_names_say_their_kind() -> None:
    for metric in SELF_METRICS:
        assert metric.name.endswith("_total") is (metric.kind == "counter")
        assert metric.help.endswith(".")
