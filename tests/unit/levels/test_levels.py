"""What levels parse to, what they say about a row, and how they are refused."""

from __future__ import annotations

import math
import pickle

import pytest

from dbwatch.levels import (
    Column,
    ColumnKind,
    Comparison,
    DerivedError,
    LevelError,
    NotExpressible,
    PromqlContext,
    Sample,
    Threshold,
    canonical,
    columns_used,
    counters_used,
    evaluate,
    first_threshold,
    holds,
    parse_level,
    parse_value,
    thresholds,
    to_promql,
    with_derived,
)

_PLAIN = {
    **{name: Column(ColumnKind.GAUGE, metric=f"m_{name}") for name in ("a", "b", "up", "age")},
    **{name: Column(ColumnKind.GAUGE, metric=f"m_{name}") for name in ("size_bytes", "lag_seconds", "used_ratio")},
    **{name: Column(ColumnKind.COUNTER, metric=f"m_{name}") for name in ("hits", "misses", "io_seconds_total")},
    "written_bytes_total": Column(ColumnKind.COUNTER, metric="m_written"),
    "hidden": Column(ColumnKind.COUNTER),
    "state": Column(ColumnKind.LABEL),
    "mode": Column(ColumnKind.LABEL),
    "note": Column(ColumnKind.DETAIL_TEXT),
    "pages": Column(ColumnKind.DETAIL_NUMBER),
}
COLUMNS = with_derived(
    _PLAIN,
    {"ratio": "rate(hits) / total", "total": "rate(hits) + rate(misses)", "shown": "pages * 8KiB"},
    {"shown": "m_shown"},
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + 2 * b", 18.0),
        ("(a + 2) * b", 42.0),
        ("-a - -b", 3.0),
        ("a - b - 1", -4.0),
        ("a - (b - 1)", -2.0),
        ("b / a / 2", 0.875),
        ("a + 1_000.5e1", 10009.0),
        ("0 * a + 90%", 0.9),
        ("0 * a + 14d", 1209600.0),
        ("0 * a + 5m - 5min", 0.0),
        ("0 * a + 100ms", 0.1),
        ("0 * a + 2MiB", 2097152.0),
        ("0 * a + 2kB", 2000.0),
        ("a / zero", None),
        ("a + missing", None),
        ("nan + 1", None),
        ("text_in_a_number + 1", None),
        ("infinite - infinite", None),
        ("delta(grown)", 30.0),
        ("rate(grown)", 0.5),
        ("delta(reset)", 7.0),
        ("delta(fresh)", None),
        ("rate(fresh)", None),
        ("delta(gone)", None),
        ("eta(rising, 100)", 600.0),
        ("eta(rising, 50)", 0.0),
        ("eta(rising, 49)", 0.0),
        ("eta(falling, 100)", None),
        ("eta(falling, 40)", 0.0),
        ("eta(a, 3)", 0.0),
        ("eta(a, 5)", None),
        ("eta(a, 4)", 0.0),
        ("eta(rising, missing)", None),
        ("eta(gone_gauge, 1)", None),
    ],
)
def test_a_value_is_computed_as_written(text: str, value: float | None) -> None:
    values: dict[str, float | str | None] = {
        "a": 4,
        "b": 7,
        "zero": 0,
        "nan": math.nan,
        "infinite": math.inf,
        "text_in_a_number": "12",
        "grown": 130,
        "reset": 7,
        "fresh": 5,
        "gone": None,
        "rising": 50,
        "falling": 40,
    }
    previous: dict[str, float | None] = {
        "grown": 100,
        "reset": 100,
        "fresh": None,
        "gone": 3,
        "rising": 45,
        "falling": 45,
    }
    counters = {"grown", "reset", "fresh", "gone"}
    names = {*values, "missing", "gone_gauge"}
    known = {name: Column(ColumnKind.COUNTER if name in counters else ColumnKind.GAUGE, metric=name) for name in names}
    assert evaluate(parse_value(text, known), Sample(values, previous, 60.0)) == value


@pytest.mark.parametrize("elapsed", [None, 0.0, -1.0, math.nan])
def test_without_time_between_samples_there_is_no_rate(elapsed: float | None) -> None:
    sample = Sample({"hits": 5, "a": 1}, {"hits": 3, "a": 0}, elapsed)
    assert evaluate(parse_value("rate(hits)", COLUMNS), sample) is None
    assert evaluate(parse_value("delta(hits)", COLUMNS), sample) == 2
    assert evaluate(parse_value("eta(a, 5)", COLUMNS), sample) is None


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("a > 3", True),
        ("a > 4", False),
        ("not a > 4", True),
        ("a >= 4 and a <= 4 and a == 4", True),
        ("a != 4", False),
        ("up", True),
        ("not up", False),
        ("up == true", True),
        ("up != true", False),
        ("state == 'lost'", True),
        ("'lost' != state", False),
        ("state in ('x', \"lost\")", True),
        ("state not in ('x', 'y')", True),
        ("note == ''", True),
        ("a > 3 or b > 3", True),
        ("a > 4 or b > 3", None),
        ("a > 4 and b > 3", False),
        ("a > 3 and b > 3", None),
        ("not (a > 3 and b > 3)", None),
        ("not b > 3", None),
        ("b == b", None),
        ("mode != 'x'", None),
        ("not mode in ('x')", None),
        ("a / (a - 4) > 1", None),
        ("not a / (a - 4) > 1", None),
        ("ratio > 0", None),
        ("a > 100 or a > 3 and not up", False),
        ("(a > 100 or a > 3) and up", True),
    ],
)
def test_a_level_says_true_false_or_unknown(text: str, verdict: bool | None) -> None:
    sample = Sample({"a": 4, "up": 1, "b": None, "state": "lost", "mode": "", "note": ""})
    level = parse_level(text, COLUMNS)
    assert evaluate(level, sample) is verdict
    assert holds(level, sample) is (verdict is True)


def test_derived_columns_are_computed_through_their_formula() -> None:
    sample = Sample({"hits": 90, "misses": 30, "pages": 2}, {"hits": 0, "misses": 0}, 10.0)
    assert evaluate(parse_value("ratio", COLUMNS), sample) == 0.75
    assert holds(parse_level("ratio < 80% and total == 12 and shown == 16KiB", COLUMNS), sample)


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("", "found the end", 0),
        ("a >", "found the end", 3),
        ("a = 3", "write == to compare", 2),
        ("a <> 3", "write !=", 2),
        ("a > 3 && up", "write 'and'", 6),
        ("a > 3 AND up", "'and' in lower case", 6),
        ("!up", "write 'not'", 0),
        ("Up", "lower-case", 0),
        ("(a > 3", "expected ')'", 6),
        ("a > 3)", "found ')'", 5),
        ("1 < a < 3", "not chained", 6),
        ("a > 3 up", "expected 'and', 'or' or the end", 6),
        ("size_bytes > 100 MiB", "right after its number", 17),
        ("lag_seconds > 5 m", "without a space", 16),
        ("used_ratio > 90 %", "without a space", 16),
        ("size_bytes > 100mb", "did you mean MB?", 16),
        ("size_bytes > 5G", "did you mean GiB?", 14),
        ("a > 5parsec", "not a unit", 5),
        ("a > 1_", "not a unit", 5),
        ("a > .5", "start with a digit", 4),
        ("a > 1e999", "too large", 4),
        ("a > 1e300 * 1e300", "too large", 4),
        ("a > 5 / (1 - 1)", "divides by zero", 9),
        ("sise_bytes > 5", "did you mean size_bytes?", 0),
        ("zzz > 5", "the columns are a, age", 0),
        ("hits > 5", "use rate(hits)", 0),
        ("a + hits > 5", "counter, which only grows", 4),
        ("rate(a) > 5", "needs a counter, a is a gauge", 5),
        ("rate(shown) > 5", "shown is a derived", 5),
        ("delta(state) > 5", "state is a label", 6),
        ("eta(hits, 5) > 5", "eta() needs a gauge", 4),
        ("eta(a) > 5", "eta(column, limit)", 5),
        ("eta(a, state) > 5", "must be a number", 7),
        ("rate(a + 1) > 5", "expected ')'", 7),
        ("rate(5) > 5", "takes a column", 5),
        ("rate > 5", "rate is a function", 0),
        ("abs(a) > 5", "no function 'abs'", 0),
        ("5 > 3", "mentions no column", 0),
        ("'a' == 'a'", "mentions no column", 0),
        ("5", "compare it", 0),
        ("a + 1", "compare it", 0),
        ("state", "compare it", 0),
        ("true", "compared with a column", 0),
        ("a > 3 or true", "compared with a column", 9),
        ("up > true", "== or !=", 3),
        ("a + 1 == true", "a column that is 0 or 1", 0),
        ("state == true", "a column that is 0 or 1", 0),
        ("state > 3", "compares text with a number", 6),
        ("state > 'a'", "text has no order", 6),
        ("state == ''", "empty label is NULL", 9),
        ("state in ('a', '')", "empty label is NULL", 15),
        ("state in ()", "holds quoted texts", 10),
        ("state in 'a'", "'(' after 'in'", 9),
        ("a in ('1')", "'in' is for a text column", 0),
        ("(a > 3) == true", "this is a condition", 1),
        ("(a > 3) + 1 > 1", "must be a number", 1),
        ("-state == 'a'", "must be a number", 1),
        ("size_bytes > 14d", "bytes and a time", 11),
        ("lag_seconds > 90%", "a time and a ratio", 12),
        ("size_bytes + 5s > 1", "units do not fit", 11),
        ("eta(size_bytes, 5m) > 1d", "units do not fit", 16),
        ("eta(size_bytes, 5GB) > 1MiB", "a time and bytes", 21),
        ("rate(written_bytes_total) > 5m", "bytes and a time", 26),
        ("size_bytes / size_bytes > 5m", "a ratio and a time", 24),
        ("state == 'lost", "has no end", 9),
        ("state == '\ud800'", "broken character", 9),
        ("a > 3;", "one condition", 5),
        ("a > §", "'§' is not part", 4),
        ("x" * 2001, "2001 characters", 2000),
        ("(" * 33 + "a", "deeper than 32", 33),
        ("not " * 33 + "up", "deeper than 32", 132),
        ("-" * 33 + "a > 1", "deeper than 32", 33),
        ("a" + "+a" * 32 + " > 1", "deeper than 32", 0),
        ("a>1 or " * 280 + "a>1", "longer than 2000", 0),
    ],
)
def test_a_wrong_level_says_what_is_wrong_and_where(text: str, message: str, offset: int) -> None:
    with pytest.raises(LevelError) as caught:
        parse_level(text, COLUMNS)
    assert message in caught.value.message
    assert caught.value.offset == offset


@pytest.mark.parametrize("text", ["a > 3", "up == true", "state", "5 + 1", "'x'"])
def test_a_derived_column_is_a_number_over_columns(text: str) -> None:
    with pytest.raises(LevelError):
        parse_value(text, COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        "size_bytes * 2 > 1GiB",
        "size_bytes / 2MiB > 5",
        "size_bytes * used_ratio > 1GiB",
        "lag_seconds > 2 * 5m",
        "rate(io_seconds_total) > 50%",
        "size_bytes > 1000",
        "size_bytes / lag_seconds > 5MiB",
        " or ".join(["a > 1"] * 200),
        "(" * 32 + "a > 1" + ")" * 32,
    ],
)
def test_units_that_may_fit_and_long_texts_pass(text: str) -> None:
    assert parse_level(text, COLUMNS).is_condition


def test_grouping_and_quotes_are_written_one_way() -> None:
    level = parse_level('((a>1) or (b>2 or up)) and not (state not in ( "it\'s" ))', COLUMNS)
    assert canonical(level) == "(a > 1 or b > 2 or up) and not state not in ('it''s')"


def test_derived_columns_in_a_circle_are_refused_by_name() -> None:
    with pytest.raises(DerivedError, match=r"circle: .* -> ") as caught:
        with_derived(_PLAIN, {"x": "y + 1", "y": "a + z", "z": "x"})
    assert caught.value.column in {"x", "y", "z"}
    with pytest.raises(DerivedError, match="circle: x -> x"):
        with_derived(_PLAIN, {"x": "x + 1"})


def test_an_error_in_a_derived_column_names_it() -> None:
    with pytest.raises(DerivedError, match="no column 'nope'") as caught:
        with_derived(_PLAIN, {"good": "a", "bad": "good + nope"})
    assert (caught.value.column, caught.value.offset) == ("bad", 7)
    with pytest.raises(DerivedError, match="both a column"):
        with_derived(_PLAIN, {"a": "b"})


def test_derived_columns_cannot_hide_an_explosion() -> None:
    texts = {f"d{n}": f"d{n - 1} + d{n - 1}" for n in range(1, 30)} | {"d0": "a"}
    with pytest.raises(DerivedError, match="more than 2000 parts"):
        with_derived(_PLAIN, texts)


def test_a_column_and_its_formula_go_together() -> None:
    with pytest.raises(ValueError, match="has an expression"):
        Column(ColumnKind.DERIVED)
    with pytest.raises(ValueError, match="no other column"):
        Column(ColumnKind.GAUGE, derived=parse_value("a", COLUMNS))
    with pytest.raises(ValueError, match="parse_value"):
        Column(ColumnKind.DERIVED, derived=parse_level("a > 1", COLUMNS))


@pytest.mark.parametrize(
    ("text", "promql"),
    [
        ("a > 1", 'm_a{t="x"} > 1'),
        ("not up", 'm_up{t="x"} == 0'),
        ("up == true", 'm_up{t="x"} == 1'),
        ("not (a > 1 or up) or b < 2", 'm_a{t="x"} <= 1 and m_up{t="x"} == 0 or m_b{t="x"} < 2'),
        ("(a > 1 or up) and b < 2", '(m_a{t="x"} > 1 or m_up{t="x"} != 0) and m_b{t="x"} < 2'),
        ("a - (b - 1) > -1", 'm_a{t="x"} - (m_b{t="x"} - 1) > -1'),
        ("-(a + b) * 2 > 1MiB / 2", '-(m_a{t="x"} + m_b{t="x"}) * 2 > 1048576 / 2'),
        ("a / (b + 1) > 3", 'm_a{t="x"} / (m_b{t="x"} + 1 != 0) > 3'),
        ("rate(hits) > 1 and delta(hits) > 0", 'rate(m_hits{t="x"}[9m]) > 1 and increase(m_hits{t="x"}[9m]) > 0'),
        ("state == 'a\"\\'", r'base{t="x",state="a\"\\"}'),
        ("state != 'a'", 'base{t="x",state!="a",state!=""}'),
        ("not state in ('a', 'b.c', 'a')", r'base{t="x",state!~"a|b\\.c",state!=""}'),
        ("state in ('a\nb')", r'base{t="x",state="a\u000ab"}'),
        ("mode == 'a'", 'base{t="x",exported_mode="a"}'),
        ("shown > 1", 'm_shown{t="x"} > 1'),
    ],
)
def test_promql_is_minimal_and_right(text: str, promql: str) -> None:
    labels = {"state": "state", "mode": "exported_mode"}
    context = PromqlContext("9m", 't="x"', labels, "base")
    assert to_promql(parse_level(text, COLUMNS), context) == promql


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a > 1 or pages > 3", "pages is not exported"),
        ("rate(hidden) > 1", "hidden is not exported"),
        ("note == 'x'", "note is text that is not exported"),
        ("note in ('x')", "note is text that is not exported"),
        ("state == mode", "cannot compare the label"),
        ("mode == 'x'", "the label mode is not exported"),
        ("note != note", "not exported"),
    ],
)
def test_what_promql_cannot_say_is_said(text: str, reason: str) -> None:
    context = PromqlContext(label_columns={"state": "state"}, base_metric="base")
    with pytest.raises(NotExpressible, match=reason):
        to_promql(parse_level(text, COLUMNS), context)


def test_a_text_needs_a_base_series() -> None:
    with pytest.raises(NotExpressible, match="no series for every row"):
        to_promql(parse_level("state == 'x'", COLUMNS), PromqlContext())


def test_columns_are_found_through_derived_ones() -> None:
    level = parse_level("ratio < 80% and eta(age, a) < 14d and state == 'x'", COLUMNS)
    assert columns_used(level) == {"ratio", "total", "hits", "misses", "age", "a", "state"}
    assert counters_used(level) == {"hits", "misses", "age"}


def test_thresholds_are_constants_against_bare_columns() -> None:
    level = parse_level("rate(hits) > 7 and (2 * 50MiB < size_bytes or a >= -1) and state == 'x'", COLUMNS)
    assert thresholds(level) == (
        Threshold("size_bytes", Comparison.GREATER, 104857600.0),
        Threshold("a", Comparison.GREATER_EQUAL, -1.0),
    )
    assert first_threshold(level) == 104857600.0
    assert first_threshold(parse_level("rate(hits) > 7 or up == true or a > b", COLUMNS)) is None


def test_errors_and_levels_survive_pickling() -> None:
    level = parse_level("ratio < 80%", COLUMNS)
    assert pickle.loads(pickle.dumps(level)) == level
    for error in (LevelError("bad", 3), DerivedError("bad", 3, "x")):
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), again.offset) == (str(error), 3)
