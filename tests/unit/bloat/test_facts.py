"""From result rows to columns: packed texts, quoting, and the reason where statistics are missing."""

from __future__ import annotations

import pytest

from dbwatch.engines.postgres.bloat.columns import measured_column, row_shape
from dbwatch.engines.postgres.bloat.model import Withheld
from dbwatch.engines.postgres.bloat.rows import fillfactor, integer, number, numbers, option, pairs, text
from dbwatch.engines.postgres.bloat.sql_parts import oid_list, quote_ident, quote_literal

INT4: dict[str, object] = {
    "fixed_size": 4,
    "align": "i",
    "storage": "p",
    "not_null": True,
    "dropped": False,
    "virtual": False,
    "default_not_stored": False,
    "visible": True,
    "has_statistics": False,
    "has_inherited": False,
    "null_frac": None,
    "avg_width": None,
    "is_array": False,
    "sizes": None,
}
TEXT = {
    **INT4,
    "fixed_size": -1,
    "storage": "x",
    "not_null": False,
    "has_statistics": True,
    "null_frac": 0.0,
    "avg_width": 33,
    "sizes": "32:1.0",
}


def shape_of(*rows: dict[str, object], rows_hidden: bool = False, never_analyzed: bool = False) -> object:
    return row_shape(rows, rows_hidden=rows_hidden, never_analyzed=never_analyzed).withheld


def test_columns_of_one_size_need_no_statistics() -> None:
    shape = row_shape([INT4, INT4], rows_hidden=True, never_analyzed=True)
    assert shape.is_fixed
    assert shape.item is not None
    assert shape.item.size == 36


def test_a_missing_statistic_has_the_reason_that_has_to_be_dealt_with_first() -> None:
    missing = {**TEXT, "has_statistics": False}
    assert shape_of(TEXT) is None
    assert shape_of(missing) is Withheld.NO_STATISTICS
    assert shape_of(missing, never_analyzed=True) is Withheld.NEVER_ANALYZED
    assert shape_of({**missing, "has_inherited": True}) is Withheld.INHERITED_ONLY
    assert shape_of(missing, rows_hidden=True, never_analyzed=True) is Withheld.PRIVILEGE
    assert shape_of(missing, {**missing, "visible": False}) is Withheld.PRIVILEGE


def test_dropped_and_virtual_columns_are_stored_as_null() -> None:
    for gone in ("dropped", "virtual"):
        assert shape_of(INT4, {**TEXT, "has_statistics": False, "visible": False, gone: True}) is None


def test_a_rewrite_changes_rows_that_hold_dropped_or_lack_added_columns() -> None:
    def differs(column: dict[str, object]) -> bool:
        return row_shape([INT4, column], rows_hidden=False, never_analyzed=False).differs_stored

    assert not differs(INT4)
    assert differs({**INT4, "dropped": True})
    assert differs({**INT4, "default_not_stored": True})


def test_sampled_lengths_become_stored_sizes() -> None:
    assert measured_column(TEXT).width.sizes == ((33, 1.0),)
    assert measured_column({**TEXT, "avg_width": 204, "sizes": "200:1.0"}).width.sizes == ((204, 1.0),)
    assert measured_column({**TEXT, "avg_width": 36}, computed=True).width.sizes == ((33, 1.0),)


def test_an_index_on_a_name_stores_a_c_string() -> None:
    column = measured_column({**TEXT, "fixed_size": -2, "align": "c", "avg_width": 64, "sizes": "9:0.5 11:0.5"})
    assert column.width.sizes == ((10, 0.5), (12, 0.5))


def test_names_and_texts_are_quoted() -> None:
    assert quote_ident('a"b') == '"a""b"'
    assert quote_literal("it's") == "'it''s'"
    assert quote_literal("a\\b'c") == " E'a\\\\b''c'"
    assert oid_list([]) == "0"
    assert oid_list([3, 4]) == "3, 4"


def test_packed_texts_are_read() -> None:
    assert pairs("12:0.5 40:0.25") == [(12, 0.5), (40, 0.25)]
    assert pairs(None) == pairs("") == []
    assert numbers("{0.5,1e-05}") == [0.5, 1e-05]
    assert numbers(None) == []
    assert option("{fillfactor=70,deduplicate_items=off}", "deduplicate_items") == "off"
    assert fillfactor("{fillfactor=70}", 90) == 70
    assert fillfactor(None, 90) == 90


def test_a_value_of_another_type_is_a_defect() -> None:
    for read, value in ((integer, "1"), (integer, True), (number, None), (text, 1)):
        with pytest.raises(TypeError):
            read({"x": value}, "x")
