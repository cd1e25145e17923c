"""The trial itself: a rule that cannot fire, one that never stops and one that is off by a little are all found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dbwatch.catalogue import Catalogue
from dbwatch.model import Engine
from dbwatch.render import render_all
from tests.proof import trial
from tests.proof.capture import Capture, CapturedRow
from tests.unit.render.sample_checks import SLOT, catalogue_of

GIB = 2**30
TEXT = """\
# TYPE dbwatch_pg_slot_kept_bytes gauge
dbwatch_pg_slot_kept_bytes{target="t",slot="we\\"ird"} %(kept)s
# TYPE dbwatch_target_up gauge
dbwatch_target_up{target="t",engine="postgres"} 1.0
# TYPE dbwatch_check_findings gauge
dbwatch_check_findings{target="t",check="slot",status="warning"} %(warnings)s
dbwatch_check_findings{target="t",check="slot",status="critical"} 0.0
"""


@pytest.fixture
def slots(tmp_path: Path) -> Catalogue:
    return catalogue_of(tmp_path / "checks", {"postgres/slot": SLOT})


def capture(kept: float, status: str) -> Capture:
    warnings = int(status == "warning")
    return Capture(
        engine=str(Engine.POSTGRES),
        check="slot",
        case=f"{kept / GIB:g} GiB",
        status=status,
        reason=None,
        findings={"warning": 1} if warnings else {},
        overridden=False,
        elapsed_seconds=0.0,
        rows=(CapturedRow({"slot": 'we"ird'}, {"kept_bytes": float(kept)}, None),),
        page=TEXT % {"kept": float(kept), "warnings": float(warnings)},
        before="",
    )


CAPTURES = [capture(2 * GIB, "warning"), capture(0, "ok")]


def test_sound_rules_pass(slots: Catalogue, tmp_path: Path) -> None:
    found = trial.judge(slots, CAPTURES, tmp_path)
    assert found.troubles == []
    assert found.fired == {("PostgresSlot", "warning")}
    assert found.raised == {("PostgresSlot", "critical")}
    assert found.not_fired() == found.not_silent() == []
    assert found.edges == 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("kept_bytes > 1073741824", "kept_bytes > 1073742900"), "just over warning: "),
        (("kept_bytes > 1073741824", "kept_bytes > 1073740000"), "just under warning: "),
        (("kept_bytes > 1073741824", "dropped_bytes > 1073741824"), "(fires): PostgresSlot warning does not fire"),
        (("        keep_firing_for: 15m\n", ""), "(missed a scrape): PostgresSlot warning does not fire"),
        (("kept_bytes > 1073741824", "kept_bytes >= 0"), "0 GiB (fires): PostgresSlot warning fires"),
        (
            ("kept_bytes > 1073741824", "kept_bytes > 0 or max_over_time(dbwatch_pg_slot_kept_bytes[1d]) > 1073741824"),
            "(is over): PostgresSlot warning fires",
        ),
        (("for: 5m", "for: 5h"), "(fires): PostgresSlot warning does not fire"),
    ],
    ids=["too high", "too low", "no such metric", "lost by a gap", "always", "latches", "too late"],
)
def test_a_wrong_rule_is_found_out(
    slots: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, str], said: str
) -> None:
    def broken(catalogue: Catalogue) -> dict[str, str]:
        files = {path: text for path, text in render_all(catalogue).items() if path.endswith(".rules.yaml")}
        assert any(wrong[0] in text for text in files.values())
        return {path: text.replace(*wrong) for path, text in files.items()}

    monkeypatch.setattr(trial, "render_all", broken)
    found = trial.judge(slots, CAPTURES, tmp_path)
    assert any(said in trouble for trouble in found.troubles), found.troubles


def test_a_rule_no_capture_crosses_is_counted_as_unproven(slots: Catalogue, tmp_path: Path) -> None:
    blind = replace(CAPTURES[1], rows=())
    assert trial.judge(slots, [blind], tmp_path).not_fired() == [
        ("PostgresSlot", "critical"),
        ("PostgresSlot", "warning"),
    ]
