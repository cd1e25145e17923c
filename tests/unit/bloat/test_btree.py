"""Pages of a built btree, against sizes measured on real servers, and for any index whatever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.engines.postgres.bloat.btree import Keys, built_pages, missed_factor, plausible_groups
from dbwatch.engines.postgres.bloat.layout import Column, Width

INT8 = Column(Width.fixed(8), 8)
INT4 = Column(Width.fixed(4), 4)


@pytest.mark.parametrize(
    ("rows", "keys", "fillfactor", "pages"),
    [
        (100_000, Keys((INT8,)), 90, 276),
        (80_000, Keys((INT8,)), 70, 284),
        (80_000, Keys((INT8,)), 100, 200),
        (200_000, Keys((INT4,), groups=1000), 90, 169),
        (100_000, Keys((INT4,), groups=20000), 90, 144),
    ],
)
def test_a_build_makes_as_many_pages_as_postgres(rows: int, keys: Keys, fillfactor: int, pages: int) -> None:
    assert built_pages(rows, keys, fillfactor, 8192) == pytest.approx(pages, rel=0.03)


def test_an_empty_index_is_its_metapage() -> None:
    assert built_pages(0, Keys((INT8,)), 90, 8192) == 1


def test_nulls_share_one_key() -> None:
    mostly = Column(Width.fixed(8), 8, null_frac=0.95)
    assert built_pages(200_000, Keys((mostly,), groups=10_000), 90, 8192) == pytest.approx(190, rel=0.03)


counts = st.floats(1, 1e8)


@given(counts, counts, st.lists(st.floats(0, 0.2), max_size=20), st.floats(0, 1), st.integers(10, 100))
def test_merging_equal_keys_never_needs_more_pages(
    rows: float, groups: float, frequencies: list[float], null_frac: float, fillfactor: int
) -> None:
    column = Column(Width.fixed(8), 8, null_frac)
    merged = built_pages(rows, Keys((column,), groups, tuple(frequencies)), fillfactor, 8192)
    plain = built_pages(rows, Keys((column,)), fillfactor, 8192)
    assert 1 <= merged <= plain * 1.03 + 3


@given(counts, counts, st.floats(1, 30))
def test_more_groups_never_need_much_fewer_pages(rows: float, groups: float, factor: float) -> None:
    few = built_pages(rows, Keys((INT8,), groups), 90, 8192)
    many = built_pages(rows, Keys((INT8,), groups * factor), 90, 8192)
    assert many >= few * 0.88 - 3


@given(st.lists(counts, min_size=1, max_size=4), st.none() | counts, counts, st.floats(1, 50))
def test_the_fewest_groups_are_never_more_than_the_most(
    distinct: list[float], combined: float | None, rows: float, missed: float
) -> None:
    fewest, most = plausible_groups(distinct, combined, rows, missed)
    assert 1.0 <= fewest <= most <= max(rows, 1.0)


def test_a_sample_of_few_blocks_or_of_skewed_values_may_miss_many() -> None:
    assert missed_factor(1e7, 100_000, 30_000, 5e5, 0.0) == pytest.approx(100_000 / 30_000)
    assert missed_factor(3e6, 20_000, 30_000, 5000, 0.1) == pytest.approx(10)
    assert missed_factor(3e6, 20_000, 30_000, 50, 0.02) == 1.0
