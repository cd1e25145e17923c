"""Levels over what was counted since a reset: an old counter is a rate, and a young one proves nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.levels import Sample, holds
from dbwatch.model import Engine, Status

CHECKS = Path(__file__).resolve().parents[3] / "checks" / "postgres"
DAY = 86_400.0
LARGE = {"relation_bytes": 2.0**40, "rows": 1e9}
FLAG = {"rarest_ratio": 0.3, "index_bytes": 2.0**30}


@cache
def bundled(name: str) -> Check:
    return load_check(CHECKS / f"{name}.yaml", Engine.POSTGRES)


def found(name: str, **values: float | None) -> bool:
    return holds(bundled(name).levels[Status.WARNING], Sample(values))


@pytest.mark.parametrize("name", ["jsonb_without_gin", "vector_without_index"])
def test_one_read_a_night_never_counts(name: str) -> None:
    for days in (1, 7, 8, 100, 1001, 4000):
        assert not found(name, **LARGE, whole_reads=days + 1, observed_seconds=days * DAY)
    assert found(name, **LARGE, whole_reads=30 * 25 * 2, observed_seconds=30 * DAY)
    assert not found(name, **LARGE, whole_reads=5000, observed_seconds=0.9 * DAY)


def test_an_index_without_a_scan_waits_for_a_month_of_counters() -> None:
    assert found("low_selectivity_index", **FLAG, scans=0, scan_ratio=None, observed_seconds=36 * DAY)
    assert not found("low_selectivity_index", **FLAG, scans=0, scan_ratio=None, observed_seconds=34 * DAY)
    assert found("tiny_table_index", scans=0, observed_seconds=36 * DAY)
    assert not found("tiny_table_index", scans=0, observed_seconds=34 * DAY)


def test_the_first_scans_are_no_average() -> None:
    assert not found("low_selectivity_index", **FLAG, scans=3, scan_ratio=0.5, observed_seconds=DAY)
    assert found("low_selectivity_index", **FLAG, scans=3, scan_ratio=0.5, observed_seconds=36 * DAY)
    assert found("low_selectivity_index", **FLAG, scans=1000, scan_ratio=0.5, observed_seconds=DAY)
    assert not found("low_selectivity_index", **FLAG, scans=1000, scan_ratio=0.05, observed_seconds=36 * DAY)
