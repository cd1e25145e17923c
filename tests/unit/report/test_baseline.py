"""A baseline marks what is new, worse, unchanged and fixed, and takes nothing for fixed that nobody looked at."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dbwatch.errors import ConfigError
from dbwatch.model import Status
from dbwatch.report import Format, Manner, exit_code, render
from dbwatch.report.baseline import baseline_text, compare, load_baseline, recorded
from dbwatch.report.comparison import Comparison, Novelty
from dbwatch.store import TargetView
from tests.unit.report.samples import (
    REPLICATION_SLOT,
    SLOW_STATEMENT,
    UNUSED_INDEX,
    index,
    no_extension,
    outcome,
    slot,
    timed_out,
    unreachable,
    view,
)

NOW = datetime.datetime(2026, 1, 31, 10, 0, tzinfo=datetime.UTC)


def _indexes(*names: str, cut: bool = False) -> TargetView:
    found = outcome(UNUSED_INDEX, *(index(name) for name in names))
    return view((UNUSED_INDEX, replace(found, dropped_rows=1) if cut else found))


def _half(*names: str, status: Status = Status.WARNING) -> TargetView:
    """As a check that found these in one database and could not look into another."""
    found = outcome(UNUSED_INDEX, *(index(name) for name in names))
    return view((UNUSED_INDEX, replace(found, status=status, partial=True)))


def _slot(status: Status) -> TargetView:
    return view((REPLICATION_SLOT, outcome(REPLICATION_SLOT, slot(status=status))))


def _held(before: TargetView, after: Sequence[TargetView]) -> Comparison:
    return compare(recorded([before], NOW), after)


def _marks(comparison: Comparison) -> dict[str, str]:
    return {key.rpartition(".")[2]: str(mark) for (_, _, key), mark in comparison.marks.items()}


def test_new_unchanged_and_fixed() -> None:
    held = _held(_indexes("a_idx", "b_idx"), [_indexes("b_idx", "c_idx")])
    assert _marks(held) == {"b_idx": "unchanged", "c_idx": "new"}
    assert [known.key.rpartition(".")[2] for known in held.fixed] == ["a_idx"]


@pytest.mark.parametrize(
    ("before", "after", "novelty"),
    [
        (Status.WARNING, Status.CRITICAL, Novelty.WORSE),
        (Status.CRITICAL, Status.WARNING, Novelty.UNCHANGED),
        (Status.CRITICAL, Status.CRITICAL, Novelty.UNCHANGED),
    ],
)
def test_what_gets_worse_is_news(before: Status, after: Status, novelty: Novelty) -> None:
    assert list(_held(_slot(before), [_slot(after)]).marks.values()) == [novelty]


@pytest.mark.parametrize(
    "after",
    [
        view((SLOW_STATEMENT, no_extension())),
        view((UNUSED_INDEX, timed_out(UNUSED_INDEX))),
        view((UNUSED_INDEX, None)),
        _indexes("b_idx", cut=True),
        _half("b_idx"),
        unreachable(),
    ],
    ids=["another check", "no answer", "not run", "rows cut off", "a database unseen", "unreachable"],
)
def test_what_was_not_looked_at_is_not_fixed(after: TargetView) -> None:
    assert _held(_indexes("a_idx"), [after]).fixed == ()


def test_findings_beside_a_database_that_failed_are_compared() -> None:
    after = _half("a_idx", "b_idx", status=Status.UNKNOWN)
    held = _held(_indexes("a_idx"), [after])
    assert _marks(held) == {"a_idx": "unchanged", "b_idx": "new"}
    assert exit_code([after], only_new=held) == 3
    for form in Format:
        manner = Manner(comparison=held, only_new=True)
        said = render(form, [after], started_at_seconds=0.0, duration_seconds=1.0, manner=manner)
        if form not in (Format.NAGIOS, Format.PROMETHEUS):
            assert "b_idx" in said.replace("\\", ""), f"{form} is silent about what was found in the other databases"


@pytest.mark.parametrize(
    "now",
    [
        view((SLOW_STATEMENT, no_extension())),
        view((UNUSED_INDEX, timed_out(UNUSED_INDEX))),
        _half("b_idx"),
        unreachable(),
    ],
    ids=["another check", "no answer", "a database unseen", "unreachable"],
)
def test_an_update_keeps_what_was_not_looked_at(now: TargetView) -> None:
    first = recorded([_indexes("a_idx")], NOW)
    updated = recorded([now], NOW, first)
    assert _marks(compare(updated, [_indexes("a_idx")])) == {"a_idx": "unchanged"}
    later = [known.key for known in recorded([_indexes("c_idx")], NOW, updated).findings if known.target == "orders"]
    assert later == ["shop.public.c_idx"]


def test_exit_code_for_news_only() -> None:
    known, new = _indexes("a_idx"), _indexes("a_idx", "b_idx")
    assert exit_code([known], only_new=_held(known, [known])) == 0
    assert exit_code([new], only_new=_held(known, [new])) == 1
    assert exit_code([new], Status.CRITICAL, only_new=_held(known, [new])) == 0
    worse = _slot(Status.CRITICAL)
    assert exit_code([worse], only_new=_held(_slot(Status.WARNING), [worse])) == 2


def test_what_cannot_be_known_is_never_quiet() -> None:
    lost = unreachable()
    assert exit_code([lost], only_new=_held(lost, [lost])) == 3
    blind = view((UNUSED_INDEX, timed_out(UNUSED_INDEX)))
    assert exit_code([blind], only_new=_held(_indexes(), [blind])) == 3
    assert exit_code([blind], only_new=_held(blind, [blind])) == 0


def test_a_baseline_survives_its_file(tmp_path: Path) -> None:
    before = recorded([_indexes('we"ird', "ü_idx", "\ud800")], NOW)
    path = tmp_path / "baseline.json"
    path.write_text(baseline_text(before), encoding="utf-8")
    assert _marks(compare(load_baseline(path), [_indexes('we"ird', "ü_idx", "\ud800")])) == {
        'we"ird': "unchanged",
        "ü_idx": "unchanged",
        "\ufffd": "unchanged",
    }
    assert baseline_text(before) == baseline_text(recorded([_indexes("\ud800", 'we"ird', "ü_idx")], NOW))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not a baseline: Invalid JSON"),
        ("[]", "is not a baseline: "),
        ('{"baseline_version": 2, "recorded_at": "2026-01-31T10:00:00Z", "dbwatch_version": "9"}', "baseline_version"),
        ('{"recorded_at": "now", "dbwatch_version": "9"}', "recorded_at"),
        (
            '{"recorded_at": "2026-01-31T10:00:00Z", "dbwatch_version": "9", "findings": [{"target": "a"}]}',
            "findings.0",
        ),
    ],
)
def test_a_file_that_is_no_baseline_is_one_clear_problem(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_baseline(path)
    (problem,) = caught.value.problems
    assert str(path) in str(problem)
    assert said in str(problem)


def _report(kind: Format, after: TargetView, comparison: Comparison) -> str:
    manner = Manner(color=False, width=0, comparison=comparison)
    return render(kind, [after], started_at_seconds=0, duration_seconds=1, manner=manner)


def test_the_text_report_marks_the_news() -> None:
    after = _indexes("b_idx", "c_idx")
    text = _report(Format.TEXT, after, _held(_indexes("a_idx", "b_idx"), [after]))
    assert "(1 new)" in text
    (new,) = (line for line in text.splitlines() if "c_idx" in line and "DROP" in line)
    assert new.split()[0] == "new"
    (known,) = (line for line in text.splitlines() if "b_idx" in line and "DROP" in line)
    assert known.split()[0] != "new"
    assert "baseline of 2026-01-31: 1 new, 0 worse, 1 unchanged, 1 fixed" in text
    assert "fixed  orders unused_index shop.public.orders.a_idx" in text or "a_idx" in text.splitlines()[-1]


def test_the_text_report_says_that_nothing_is_new() -> None:
    same = _indexes("a_idx")
    assert "(unchanged)" in _report(Format.TEXT, same, _held(same, [same]))


def test_the_document_says_it_too() -> None:
    after = _indexes("b_idx", "c_idx")
    said = json.loads(_report(Format.JSON, after, _held(_indexes("a_idx", "b_idx"), [after])))
    assert {k: v for k, v in said["baseline"].items() if k != "fixed"} == {
        "recorded_at": "2026-01-31T10:00:00Z",
        "new": 1,
        "worse": 0,
        "unchanged": 1,
    }
    assert [known["check"] for known in said["baseline"]["fixed"]] == ["unused_index"]
    findings = said["targets"][0]["checks"][0]["findings"]
    assert sorted(finding["baseline"] for finding in findings) == ["new", "unchanged"]
