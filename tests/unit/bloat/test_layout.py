"""The bytes of a row, against what PostgreSQL is known to store, and for any columns whatever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.engines.postgres.bloat.layout import Column, Width, heap_item, index_item, null_probability

INT2, INT4, INT8 = (Column(Width.fixed(size), size) for size in (2, 4, 8))
DROPPED = Column(Width.fixed(0), 1, null_frac=1.0)


def text(*sizes: int) -> Column:
    return Column(Width.varying(sum(sizes) / len(sizes), [(size, 1.0) for size in sizes]), 4, varlena=True)


@pytest.mark.parametrize(
    ("columns", "size"),
    [
        ([INT4], 36),
        ([INT8], 36),
        ([INT4, INT4], 36),
        ([INT4, INT8], 44),
        ([INT4, INT8, INT4], 52),
        ([INT2, INT8], 44),
        ([text(33)], 24 + 40 + 4),
        ([INT8, text(9)], 24 + 24 + 4),
        ([text(1), INT4], 24 + 8 + 4),
        ([INT4, DROPPED], 36),
        ([INT4] * 8 + [DROPPED], 32 + 32 + 4),
    ],
)
def test_a_heap_row_is_as_long_as_postgres_makes_it(columns: list[Column], size: int) -> None:
    item = heap_item(columns)
    assert (item.size, item.exact) == (size, True)


@pytest.mark.parametrize(("columns", "size"), [([INT4], 20), ([INT8], 20), ([INT4, INT8], 28), ([text(5)], 20)])
def test_an_index_tuple_is_as_long_as_postgres_makes_it(columns: list[Column], size: int) -> None:
    assert index_item(columns).size == size


def test_a_long_value_is_aligned_for_its_four_byte_header_and_a_short_one_is_not() -> None:
    assert heap_item([text(1), text(127)]).size == 24 + 128 + 4
    assert heap_item([text(1), text(128)]).size == 24 + 4 + 128 + 4 + 4


def test_nulls_are_weighed_by_their_probability() -> None:
    half = Column(Width.fixed(8), 8, null_frac=0.5)
    assert heap_item([half]).size == 24 + 4 + 4
    assert index_item([half]).size == 12 + 4 + 4
    assert not heap_item([half]).exact
    assert null_probability([half, half]) == 0.75


def test_widths_of_one_size_are_exact_and_others_are_not() -> None:
    assert heap_item([text(33, 33)]).exact
    assert not heap_item([text(33, 34)]).exact
    assert not heap_item([Column(Width.varying(33), 4, varlena=True)]).exact
    assert heap_item([Column(Width.varying(2101), 4, varlena=True)]).exact


def test_samples_of_whole_values_say_nothing_of_compressed_ones() -> None:
    width = Width.varying(60, [(800, 1.0)])
    assert (width.mean, width.sizes) == (60.5, ())


def test_arrays_grow_by_four_bytes() -> None:
    assert Width.stepped(37, packable=True).sizes == ((37, 1.0),)
    assert {size % 4 for size, _ in Width.stepped(38, packable=True).sizes} == {1}
    assert {size % 4 for size, _ in Width.stepped(301, packable=True).sizes} == {0}
    assert Width.stepped(40, packable=True).mean == pytest.approx(40.5)


sampled = st.lists(st.tuples(st.integers(1, 400), st.floats(0.01, 1)), max_size=6)
columns = st.lists(
    st.one_of(
        st.builds(
            lambda size, nulls: Column(Width.fixed(size), min(size, 8), nulls),
            st.sampled_from([1, 2, 4, 8]),
            st.floats(0, 1),
        ),
        st.builds(
            lambda mean, sizes, nulls: Column(Width.varying(mean, sizes), 4, nulls, varlena=True),
            st.integers(0, 3000),
            sampled,
            st.floats(0, 1),
        ),
    ),
    max_size=12,
)


@given(columns)
def test_a_row_is_never_shorter_than_its_values_nor_longer_than_all_padding(row: list[Column]) -> None:
    values = sum(column.width.mean * (1 - column.null_frac) for column in row)
    item = heap_item(row)
    assert 24 + values + 4 <= item.size + 1e-6
    assert item.size <= 32 + values + 4 + 8 * (len(row) + 1)


@given(columns)
def test_a_dropped_column_never_shortens_a_row(row: list[Column]) -> None:
    assert heap_item([*row, DROPPED]).size >= heap_item(row).size - 1e-6
