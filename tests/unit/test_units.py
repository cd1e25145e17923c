"""Numbers said to people, and durations and sizes read from people."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.units import (
    bytes_text,
    count_text,
    duration_text,
    number_text,
    parse_bytes,
    parse_duration,
    percent_text,
)

GIB = 2.0**30


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (1023, "1 KiB"),
        (1024, "1 KiB"),
        (38 * GIB, "38 GiB"),
        (1.2 * GIB, "1.2 GiB"),
        (9.96 * GIB, "10 GiB"),
        (812 * 2**20, "812 MiB"),
        (1023.9 * 2**20, "1 GiB"),
        (-5 * 2**20, "-5 MiB"),
        (-0.2, "0 B"),
        (3 * 2.0**60, "3 EiB"),
        (10**400, "infinity"),
        (math.nan, "unknown"),
    ],
)
def test_bytes_have_at_most_three_digits(value: float, text: str) -> None:
    assert bytes_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (1e-9, "<1 ms"),
        (0.12, "120 ms"),
        (0.9999, "1 s"),
        (1.5, "1.5 s"),
        (45, "45 s"),
        (59.7, "1 min"),
        (200, "3 min 20 s"),
        (1500, "25 min"),
        (3599, "1 h"),
        (7200, "2 h"),
        (7260, "2 h 1 min"),
        (50_000, "14 h"),
        (86_399, "1 day"),
        (100_000, "1 day 4 h"),
        (41 * 86_400, "41 days"),
        (2_000 * 86_400, "5.5 years"),
        (-200, "-3 min 20 s"),
        (math.inf, "infinity"),
        (-math.inf, "-infinity"),
        (math.nan, "unknown"),
    ],
)
def test_durations_are_calm(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0, "0 %"),
        (1e-6, "<0.1 %"),
        (0.05, "5 %"),
        (0.098, "9.8 %"),
        (0.0996, "10 %"),
        (0.873, "87 %"),
        (0.991, "99.1 %"),
        (0.99999, "99.9 %"),
        (1, "100 %"),
        (1.5, "150 %"),
        (20, "2,000 %"),
        (-0.5, "-50 %"),
        (-1e-6, "0 %"),
        (1e307, "infinity"),
    ],
)
def test_percents_never_round_up_to_full(ratio: float, text: str) -> None:
    assert percent_text(ratio) == text


def test_counts_and_numbers_are_grouped() -> None:
    assert count_text(1234567) == "1,234,567"
    assert count_text(-1234567.4) == "-1,234,567"
    assert count_text(1e20) == "1e+20"
    assert [number_text(value) for value in (5.0, 1234567, 1 / 3, 12.345, 999.7, 1234.5, 1e-5, -0.0)] == [
        "5",
        "1,234,567",
        "0.333",
        "12.3",
        "1,000",
        "1,234",
        "1e-05",
        "0",
    ]


@given(st.floats() | st.integers())
def test_any_number_can_be_said(value: float) -> None:
    for render in (bytes_text, duration_text, percent_text, count_text, number_text):
        assert re.search(r"\d|unknown|infinity", render(value))


@given(st.floats(min_value=0, max_value=2.0**60))
def test_said_bytes_are_near_the_truth(value: float) -> None:
    said = re.fullmatch(r"(?P<number>[\d.]+) (?P<unit>\w+)", bytes_text(value))
    assert said is not None
    factor = 1024.0 ** ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB").index(said["unit"])
    assert len(said["number"].replace(".", "")) <= 3
    assert float(said["number"]) * factor == pytest.approx(value, rel=0.06, abs=0.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("1h30m", 5400),
        ("1d 12h", 129600),
        ("500ms", 0.5),
        ("2min", 120),
        (90, 90),
        ("90", 90),
        ("1.5h", 5400),
        ("2w", 1209600),
        ("0s", 0),
        (" 5 m ", 300),
    ],
)
def test_a_duration_is_read(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("soon", "is not a duration"),
        ("5x", "not a unit of time"),
        ("5M", "not a unit of time"),
        ("30m1h", "larger unit first"),
        ("1h1h", "each unit once"),
        ("-5s", "is not a duration"),
        ("5s!", "is not a duration"),
        ("٥s", "is not a duration"),
        (-1, "negative"),
        (math.nan, "finite"),
        (10**400, "finite"),
        ("9" * 400 + "s", "finite"),
        (True, "cannot be true"),
    ],
)
def test_a_wrong_duration_says_why(text: str | float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_duration(text)


def test_a_size_is_read() -> None:
    assert [parse_bytes(text) for text in ("100MiB", "1.5GB", "512 kB", "7", 7, "0B")] == [
        104857600,
        1500000000,
        512000,
        7,
        7,
        0,
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("100mb", "not a unit of size"), ("big", "is not a size"), ("1GiB1MiB", "is not a size"), (-1, "negative")],
)
def test_a_wrong_size_says_why(text: str | float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_bytes(text)


@given(st.text(max_size=20))
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_duration, parse_bytes):
        try:
            value = parse(text)
        except ValueError:
            continue
        assert value >= 0
