from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.exposition.labels import LONGEST, clean


@pytest.mark.parametrize("name", ["orders", 'we"ird', "naïve 🐘", "שלום", "a\\b", "", "x" * LONGEST, "{}"])
def test_a_readable_name_stays_as_it_is(name: str) -> None:
    assert clean(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("a\tb\r", r"a\tb\r"),
        ("\x00\x1b[31m", r"\x00\x1b[31m"),
        ("\x85", r"\x85"),
        ("a\ud800b", "a\ufffdb"),
    ],
)
def test_what_nobody_can_read_is_escaped(name: str, shown: str) -> None:
    assert clean(name) == shown


def test_a_long_name_is_cut_and_still_told_from_its_neighbour() -> None:
    first, second = clean("x" * 500 + "1"), clean("x" * 500 + "2")
    assert len(first) == len(second) == LONGEST
    assert first != second
    assert first.startswith("xxx")
    assert first[-9] == "~"


@given(st.text(max_size=400))
def test_every_text_becomes_a_label_value(name: str) -> None:
    shown = clean(name)
    assert len(shown) <= LONGEST
    shown.encode("utf-8")
    assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in shown)
