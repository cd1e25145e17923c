"""Pages and free slots of the heap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.engines.postgres.bloat.heap import (
    FreeSpace,
    Page,
    bloat_by_natural_rest,
    bloat_by_rows,
    bloat_by_slots,
    item_from_use,
    used_bytes,
)
from dbwatch.engines.postgres.bloat.layout import Item

PAGE = Page(8192)
INT4 = Item(36.0, exact=True)


def test_a_page_holds_the_rows_postgres_puts_there() -> None:
    assert PAGE.holds(INT4) == 226
    assert Page(8192, 50).holds(INT4) == 113
    assert PAGE.holds(Item(2104.0, exact=True)) == 3
    assert PAGE.holds(Item(9000.0, exact=False)) == 1


def test_a_remainder_too_small_for_a_row_is_no_slot() -> None:
    fresh = FreeSpace(((1824, 500),))
    assert bloat_by_slots(fresh, 0, 500, Item(2104.0, exact=True), PAGE).bloat == 0.0


def test_the_reserve_of_a_fillfactor_is_no_slot() -> None:
    assert bloat_by_slots(FreeSpace(((2432, 100),)), 0, 100, INT4, Page(8192, 70)).bloat == 0.0


def test_dead_rows_count_as_slots_to_come() -> None:
    share = bloat_by_slots(FreeSpace(((0, 100),)), 113 * 100, 100, INT4, PAGE)
    assert share.bloat == share.dead == pytest.approx(0.5)


def test_a_sampled_map_stands_for_the_whole_table() -> None:
    half = FreeSpace(((3616, 10),))
    assert bloat_by_slots(half, 0, 1000, INT4, PAGE).bloat == pytest.approx(0.5, abs=0.01)


@given(st.integers(1, 200), st.integers(1, 5000), st.floats(0.05, 1.0))
def test_the_row_size_is_found_from_the_space_in_use(words: int, pages: int, kept: float) -> None:
    size = 28 + 8 * words
    per_page = PAGE.usable / size
    rows = per_page * pages * kept
    used = rows * size + 4 * (per_page * pages - rows)
    if rows < 1:
        return
    item = item_from_use(rows, used, pages, PAGE)
    assert item is not None
    assert item.size <= used / rows + 1e-6
    if kept > 0.6:
        assert item.size == pytest.approx(size, rel=0.02)


def test_an_empty_page_uses_nothing() -> None:
    assert used_bytes(FreeSpace(((8160, 99), (0, 1))), 100, PAGE) == pytest.approx(8164)
    assert item_from_use(0, 1000, 10, PAGE) is None


@given(
    st.floats(0, 1e7),
    st.floats(0, 1e7),
    st.integers(0, 100_000),
    st.floats(28, 9000),
    st.booleans(),
    st.integers(10, 100),
    st.lists(st.tuples(st.integers(0, 255).map(lambda step: step * 32), st.integers(1, 1000)), max_size=8),
)
def test_shares_stay_between_nothing_and_all(
    rows: float,
    dead: float,
    pages: int,
    size: float,
    exact: bool,
    fillfactor: int,
    free: list[tuple[int, int]],
) -> None:
    item, page = Item(size, exact), Page(8192, fillfactor)
    for share in (
        bloat_by_rows(rows, dead, pages, item, page),
        bloat_by_slots(FreeSpace(tuple(free)), dead, pages, item, page),
    ):
        assert 0.0 <= share.dead <= share.bloat <= 1.0


def test_pages_without_room_for_a_whole_chunk_show_what_a_full_one_leaves_over() -> None:
    """Three chunks of 2036 bytes and three of 148 a page leave 1616: the fourth whole one does not fit."""
    full, lacking_one_pair = 1616, 3776
    untouched = FreeSpace(((full, 100),))
    assert bloat_by_natural_rest(untouched, 600, 0, 100, 2030, PAGE).bloat == pytest.approx(0.0, abs=0.01)
    thinned = FreeSpace(((full, 50), (lacking_one_pair, 50)))
    assert bloat_by_natural_rest(thinned, 500, 0, 100, 2030, PAGE).bloat == pytest.approx(1 / 6, abs=0.01)
    waiting = bloat_by_natural_rest(untouched, 300, 300, 100, 2030, PAGE)
    assert waiting.bloat == pytest.approx(0.5, abs=0.01)
    assert waiting.dead == pytest.approx(0.5, abs=0.01)
    assert bloat_by_natural_rest(FreeSpace(()), 600, 0, 100, 2030, PAGE).bloat == 0.0
