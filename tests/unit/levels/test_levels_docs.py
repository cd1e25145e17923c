"""The page about levels: every example on it parses, and the PromQL it shows is the PromQL we write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dbwatch.levels import Column, ColumnKind, PromqlContext, parse_level, parse_value, to_promql

PAGE = Path(__file__).parents[3] / "docs" / "levels.md"
GAUGES = (
    "index_bytes observed_seconds used_ratio hit_ratio receiver_up lag_seconds age_transactions used_bytes limit_bytes"
)
COLUMNS = {
    **{name: Column(ColumnKind.GAUGE, metric=name) for name in GAUGES.split()},
    **{name: Column(ColumnKind.COUNTER, metric=name) for name in ("evictions", "deadlocks", "hits", "misses")},
    "wal_status": Column(ColumnKind.LABEL),
    "application_name": Column(ColumnKind.DETAIL_TEXT),
}


def blocks(language: str) -> list[list[str]]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [block.splitlines() for block in found]


@pytest.mark.parametrize("text", [line for block in blocks("level") for line in block])
def test_a_level_on_the_page_parses(text: str) -> None:
    assert parse_level(text, COLUMNS).is_condition


@pytest.mark.parametrize("text", [line for block in blocks("value") for line in block])
def test_a_value_on_the_page_parses(text: str) -> None:
    assert not parse_value(text, COLUMNS).is_condition


def test_the_promql_on_the_page_is_what_the_levels_before_it_become() -> None:
    levels, (shown,) = blocks("level")[-1], blocks("promql")
    context = PromqlContext(base_metric="base")
    assert [to_promql(parse_level(text, COLUMNS), context) for text in levels] == shown
