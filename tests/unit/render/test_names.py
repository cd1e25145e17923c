"""What alerts are called, and finding a check by any of its names."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbwatch.errors import ConfigError
from dbwatch.render import alert_name, explain, find_check, find_checks, render_all
from tests.unit.render.sample_checks import CONNECT, SLOT, catalogue_of, check_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("replication_slot", "PostgresReplicationSlot"),
        ("postgres_restarted", "PostgresRestarted"),
        ("pg_hba_open", "PostgresHbaOpen"),
        ("postgres", "PostgresPostgres"),
        ("index_that_has_a_very_long_name_indeed_and_more", "PostgresIndexThatHasAVeryLongNameIndeed"),
    ],
)
def test_an_alert_is_named_after_engine_and_check(tmp_path: Path, name: str, expected: str) -> None:
    assert alert_name(check_of(tmp_path, SLOT, name)) == expected
    assert len(expected) <= 40


@pytest.mark.parametrize("own", ["SlotFull", "PostgresSlotFull"])
def test_a_name_of_its_own_gets_the_engine_once(tmp_path: Path, own: str) -> None:
    assert alert_name(check_of(tmp_path, {**SLOT, "alert": {"name": own}})) == "PostgresSlotFull"


def test_two_alerts_of_one_name_and_too_long_ones_are_refused_together(tmp_path: Path) -> None:
    named = {**SLOT, "alert": {"name": "Same"}}
    other = {**CONNECT, "alert": {"name": "Same"}}
    long = {**CONNECT, "columns": {}, "alert": {"name": "A" + "b" * 39}}
    long["columns"] = {"up": {"use": "gauge", "metric": "dbwatch_pg_up_too", "help": "Up."}}
    catalogue = catalogue_of(tmp_path, {"postgres/slot": named, "postgres/down": other, "postgres/long": long})
    with pytest.raises(ConfigError) as caught:
        render_all(catalogue)
    assert [problem.path for problem in caught.value.problems] == ["alert.name", "alert.name"]
    assert "PostgresSame is the alert of" in str(caught.value)
    assert "longer than 40" in str(caught.value)


def test_a_check_is_found_by_name_path_and_alert(tmp_path: Path) -> None:
    redis = {**CONNECT, "columns": {"up": {"use": "gauge", "metric": "dbwatch_redis_up", "help": "Up."}}}
    catalogue = catalogue_of(tmp_path, {"postgres/down": CONNECT, "redis/down": redis})
    assert [str(check.engine) for check in find_checks(catalogue, "down")] == ["postgres", "redis"]
    for name in ("redis/down", "RedisDown", "redisdown"):
        found = find_check(catalogue, name)
        assert found is not None
        assert found.engine == "redis"
    assert find_check(catalogue, "nothing") is None


def test_explain_covers_checks_and_our_own_alerts(tmp_path: Path) -> None:
    catalogue = catalogue_of(tmp_path, {"postgres/replication_slot": SLOT})
    text = explain(catalogue, "PostgresReplicationSlot")
    assert text is not None
    for part in (
        "Slots that keep much.",
        "critical: kept_bytes is above 10GiB",
        "every 1 min",
        "PostgresReplicationSlot, once it has lasted 5 min",
        "MEANING",
        "      select 1;",
        "  SELECT pg_drop_replication_slot({slot:literal});",
    ):
        assert part in text
    assert explain(catalogue, "DbwatchTargetDown") is not None
    assert explain(catalogue, "nothing") is None
