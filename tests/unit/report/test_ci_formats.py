"""JUnit, SARIF and Markdown: held to the published schemas, true to the findings, and safe with any name."""

from __future__ import annotations

import datetime
import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import jsonschema
import pytest
import xmlschema

from dbwatch.model import Status
from dbwatch.report import Format, Manner, exit_code, render
from dbwatch.report.baseline import compare, recorded
from dbwatch.store import TargetView
from tests.harness.binaries import schema
from tests.unit.report.samples import (
    CACHE_TARGET,
    REPLICATION_SLOT,
    UNUSED_INDEX,
    healthy,
    index,
    outcome,
    slot,
    timed_out,
    troubled,
    unreachable,
    view,
)

NOW = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)
NASTY = 'a|b`c <script> *x* \x00\x1b[31m "\ud800" ]]> [l](http://x) @me &amp; \nnew ``` line'
EVERYTHING = [troubled(), unreachable(), healthy(target=CACHE_TARGET)]
HOSTILE = [view((REPLICATION_SLOT, outcome(REPLICATION_SLOT, slot(NASTY))))]


def _said(kind: Format, views: list[TargetView], manner: Manner | None = None) -> str:
    return render(kind, views, started_at_seconds=0, duration_seconds=1.5, manner=manner or Manner())


def _sarif(views: list[TargetView], manner: Manner | None = None) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(_said(Format.SARIF, views, manner))
    jsonschema.Draft7Validator(json.loads(schema("sarif-2.1.0.json").read_text(encoding="utf-8-sig"))).validate(log)
    return log


def _junit(views: list[TargetView], manner: Manner | None = None) -> ElementTree.Element:
    text = _said(Format.JUNIT, views, manner)
    xmlschema.XMLSchema(str(schema("jenkins-junit.xsd"))).validate(text)
    return ElementTree.fromstring(text)


# -- JUnit ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", [EVERYTHING, HOSTILE, []], ids=["everything", "hostile", "nothing"])
def test_junit_fits_its_schema(views: list[TargetView]) -> None:
    root = _junit(views)
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[attribute]) == len(suite.findall(f"testcase/{tag}"))


def test_junit_tells_the_findings_and_their_fix() -> None:
    root = _junit([troubled()])
    failure = root.find(".//testcase[@name='replication_slot']/failure")
    assert failure is not None
    assert failure.attrib["type"] == "critical"
    assert "pg_drop_replication_slot('debezium')" in (failure.text or "")


def test_junit_fails_for_what_the_exit_code_fails_for() -> None:
    warned = view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("a_idx"))))
    assert len(_junit([warned]).findall(".//failure")) == 1
    lenient = _junit([warned], Manner(fail_on=Status.CRITICAL))
    assert lenient.findall(".//failure") == []
    assert "a_idx" in (lenient.findtext(".//system-out") or "")


def test_junit_with_a_baseline_fails_for_news_only() -> None:
    before = view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("a_idx"))))
    after = view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("a_idx"), index("b_idx"))))
    known = recorded([before], NOW)
    same = _junit([before], Manner(comparison=compare(known, [before]), only_new=True))
    assert same.findall(".//failure") == []
    news = _junit([after], Manner(comparison=compare(known, [after]), only_new=True)).findtext(".//failure") or ""
    assert "b_idx" in news
    assert "a_idx" not in news


def test_junit_with_a_baseline_has_an_error_only_for_what_could_look_then() -> None:
    blind = view((UNUSED_INDEX, timed_out(UNUSED_INDEX)))
    seeing = view((UNUSED_INDEX, outcome(UNUSED_INDEX)))
    for before, view_now, errors in ((blind, blind, 0), (seeing, blind, 1), (unreachable(), unreachable(), 1)):
        manner = Manner(comparison=compare(recorded([before], NOW), [view_now]), only_new=True)
        assert (len(_junit([view_now], manner).findall(".//error")) > 0) == (errors > 0)
        assert (exit_code([view_now], only_new=manner.comparison) > 0) == (errors > 0)


# -- SARIF ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", [EVERYTHING, HOSTILE, []], ids=["everything", "hostile", "nothing"])
def test_sarif_fits_its_schema(views: list[TargetView]) -> None:
    (run,) = _sarif(views)["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    found = sum(len(c.outcome.findings) for each in views for c in each.checks if c.outcome is not None)
    assert len(run["results"]) == found


def test_sarif_levels_places_and_failures() -> None:
    (run,) = _sarif([troubled(), unreachable()], Manner(place="dbwatch.yaml"))["runs"]
    levels = {result["ruleId"]: result["level"] for result in run["results"]}
    assert levels["postgres/replication_slot"] == "error"
    assert levels["postgres/unused_index"] == "warning"
    location = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": "dbwatch.yaml"}
    (odd,) = _sarif([troubled()], Manner(place="my targets/ü.yaml"))["runs"]
    place = odd["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "my%20targets/%C3%BC.yaml"}, "a URI reference has no blanks"
    assert run["invocations"][0]["executionSuccessful"] is False


def test_sarif_fingerprints_hold_between_runs_and_tell_objects_apart() -> None:
    def prints(*names: str) -> list[str]:
        (run,) = _sarif([view((UNUSED_INDEX, outcome(UNUSED_INDEX, *(index(name) for name in names))))])["runs"]
        return [result["partialFingerprints"]["dbwatchFinding/v1"] for result in run["results"]]

    assert prints("a_idx") == prints("a_idx")
    assert len(set(prints("a_idx", "b_idx"))) == 2


def test_sarif_with_a_baseline() -> None:
    before = view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("a_idx"), index("b_idx"))))
    after = view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("b_idx"), index("c_idx"))))
    (run,) = _sarif([after], Manner(comparison=compare(recorded([before], NOW), [after])))["runs"]
    states = {
        result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"].rpartition(".")[2]: result["baselineState"]
        for result in run["results"]
    }
    assert states == {"a_idx": "absent", "b_idx": "unchanged", "c_idx": "new"}


# -- Markdown ---------------------------------------------------------------------------------------------------------


def test_markdown_says_what_is_wrong_and_how_to_mend_it() -> None:
    text = _said(Format.MARKDOWN, EVERYTHING)
    assert text.startswith("## ")
    assert "`replication_slot`" in text
    assert "SELECT pg_drop_replication_slot('debezium');" in text
    assert "**unreachable**" in text


def test_markdown_takes_no_markup_from_a_name() -> None:
    text = _said(Format.MARKDOWN, HOSTILE)
    (row,) = (line for line in text.splitlines() if line.startswith("| critical"))
    assert row.count("|") - row.count("\\|") == 3
    assert "<script" not in text.replace("\\<script", "").split("<details>")[0]
    assert "@me" not in row.replace("\\@me", "")


def test_a_fix_with_backquotes_stays_inside_its_fence() -> None:
    text = _said(Format.MARKDOWN, [view((REPLICATION_SLOT, outcome(REPLICATION_SLOT, slot("a ``` b"))))])
    assert text.count("````") == 2


def test_markdown_marks_the_news() -> None:
    before = view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("a_idx"))))
    after = view((UNUSED_INDEX, outcome(UNUSED_INDEX, index("a_idx"), index("b_idx"))))
    text = _said(Format.MARKDOWN, [after], Manner(comparison=compare(recorded([before], NOW), [after])))
    assert "Against the baseline of 2026-01-31: **1 new**, **0 worse**, **1 unchanged**, 0 fixed." in text
    assert [line for line in text.splitlines() if "**new**" in line and line.startswith("| warning")]


def test_what_could_not_be_known_is_told_in_each() -> None:
    blind = [view((UNUSED_INDEX, timed_out(UNUSED_INDEX)))]
    assert len(_junit(blind).findall(".//error")) == 1
    assert len(_sarif(blind)["runs"][0]["invocations"][0]["toolExecutionNotifications"]) == 1
    assert "⚪" in _said(Format.MARKDOWN, blind)
