"""The rules of one check."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dbwatch.errors import ConfigError
from dbwatch.render import render_all
from dbwatch.render.alerts import check_rules
from dbwatch.render.rules import Rule, split
from tests.unit.render.sample_checks import CONNECT, SLOT, catalogue_of, check_of, with_levels

BASE = "https://runbooks.example/v1"


def rules_of(folder: Path, content: dict[str, object]) -> list[Rule]:
    return list(check_rules(check_of(folder, content), BASE))


def test_warning_and_critical_share_a_name(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, SLOT)
    assert {rule.alert for rule in rules} == {"PostgresReplicationSlot"}
    assert [rule.labels["severity"] for rule in rules] == ["critical", "warning"]
    assert [rule.keep_firing_for_seconds for rule in rules] == [300, 900]
    assert [rule.for_seconds for rule in rules] == [300, 300]
    for rule in rules:
        assert rule.annotations["summary"] == "Slots that keep much."
        assert rule.annotations["runbook_url"] == f"{BASE}/postgres/replication_slot.md"
        assert rule.annotations["command"] == "dbwatch explain replication_slot --target {{ $labels.target }}"
        assert rule.annotations["dashboard_url"].startswith("/d/dbwatch-postgres-replication?var-job=")
        assert rule.labels["component"] == "postgres"
        assert rule.labels["kind"] == "cause"


def test_the_hints_of_the_check_are_followed(tmp_path: Path) -> None:
    hints = {"kind": "symptom", "for_critical": "30s", "keep_firing_for": "1h"}
    critical, warning = rules_of(tmp_path, {**SLOT, "alert": hints})
    assert (critical.for_seconds, warning.for_seconds) == (30, 300)
    assert critical.keep_firing_for_seconds == warning.keep_firing_for_seconds == 3600
    assert critical.labels["kind"] == "symptom"
    assert rules_of(tmp_path, {**SLOT, "alert": {"off": True}}) == []


def test_words_of_a_check_are_no_template(tmp_path: Path) -> None:
    (_, warning) = rules_of(tmp_path, {**SLOT, "why": "Helm leaves {{ .Values }} there.", "summary": "A {{ slot }}"})
    assert warning.annotations["summary"] == 'A {{ "{{" }} slot }}.'
    assert warning.annotations["description"].endswith('Helm leaves {{ "{{" }} .Values }} there.')


def test_a_description_says_where_how_much_and_which_limit(tmp_path: Path) -> None:
    text = rules_of(tmp_path, SLOT)[1].annotations["description"]
    assert text.startswith("{{ $labels.target }}{{ with $labels.slot }}, slot {{ . }}{{ end }}: ")
    assert "kept_bytes is {{ $value | humanize1024 }}B (warning when kept_bytes is above 1GiB)" in text
    assert "{{ $value }} found by the limits of this target" in text
    assert text.endswith("The disk fills.")


def test_a_row_keeps_its_own_kind_under_another_name(tmp_path: Path) -> None:
    columns = {**SLOT["columns"], "kind": {"use": "label"}}  # type: ignore[dict-item]  # the sample is a plain document
    check = {**SLOT, "columns": columns, "key": ["slot", "kind"]}
    rule = rules_of(tmp_path, check)[1]
    assert rule.labels["kind"] == "cause"
    assert rule.expr.startswith("label_replace(")
    assert rule.expr.endswith('"type", "$1", "kind", "(.+)"\n)')
    assert "{{ with $labels.type }}, kind {{ . }}{{ end }}" in rule.annotations["description"]
    both = {**check, "columns": {**columns, "type": {"use": "label"}}, "key": ["slot", "kind", "type"]}
    with pytest.raises(ConfigError, match=r"columns\.kind: is called type in alerts, which is a column"):
        catalogue_of(tmp_path, {"postgres/slot": both})


@pytest.mark.parametrize("label", ["severity", "component"])
def test_a_row_cannot_carry_a_label_of_the_alert(tmp_path: Path, label: str) -> None:
    columns = {**SLOT["columns"], label: {"use": "label"}}  # type: ignore[dict-item]  # the sample is a plain document
    check = {**SLOT, "columns": columns, "key": ["slot", label]}
    with pytest.raises(ConfigError, match=rf"columns\.{label}: is a reserved label"):
        catalogue_of(tmp_path, {"postgres/slot": check})


def test_groups_stay_small() -> None:
    rules = [Rule(f"A{number}", "1", 0, 0, {}) for number in range(45)]
    groups = split("dbwatch.postgres.locks", rules)
    assert [(group.name, len(group.rules)) for group in groups] == [
        ("dbwatch.postgres.locks", 20),
        ("dbwatch.postgres.locks.2", 20),
        ("dbwatch.postgres.locks.3", 5),
    ]


def test_one_target_down_is_one_alert(tmp_path: Path) -> None:
    own = render_all(catalogue_of(tmp_path, {"postgres/down": CONNECT}))["alerts/self.rules.yaml"]
    rules = {rule["alert"]: rule for rule in yaml.safe_load(own)["groups"][0]["rules"]}
    assert 'check=~"down"' in rules["DbwatchTargetDown"]["expr"]
    without = render_all(catalogue_of(tmp_path / "b", {"postgres/slot": SLOT}))["alerts/self.rules.yaml"]
    rules = {rule["alert"]: rule for rule in yaml.safe_load(without)["groups"][0]["rules"]}
    assert rules["DbwatchTargetDown"]["expr"] == "dbwatch_target_up == 0"


def test_the_same_catalogue_gives_the_same_bytes(tmp_path: Path) -> None:
    checks = {"postgres/slot": SLOT, "postgres/down": CONNECT}
    first = render_all(catalogue_of(tmp_path / "a", checks))
    backwards = catalogue_of(tmp_path / "b", dict(reversed(checks.items())))
    assert render_all(backwards) == first
    assert list(first) == sorted(first)


def test_a_runbook_may_live_elsewhere(tmp_path: Path) -> None:
    files = render_all(
        catalogue_of(tmp_path, {"postgres/slot": with_levels(warning="rate(lost) > 1")}), runbook_base=BASE
    )
    assert f"{BASE}/postgres/slot.md" in files["alerts/postgres.rules.yaml"]
    assert f"{BASE}/dbwatch.md#dbwatchdown" in files["alerts/self.rules.yaml"]
