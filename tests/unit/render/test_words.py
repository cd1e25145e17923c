"""Levels in English."""

from __future__ import annotations

import pytest

from dbwatch.levels import Column, ColumnKind, parse_level
from dbwatch.render.words import level_in_words, sentence

COLUMNS = {
    "a": Column(ColumnKind.GAUGE, "m_a"),
    "up": Column(ColumnKind.GAUGE, "m_up"),
    "hits": Column(ColumnKind.COUNTER, "m_hits_total"),
    "state": Column(ColumnKind.LABEL),
}


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("a > 100MiB", "a is above 100MiB"),
        ("not a > 5", "a is at most 5"),
        ("not up", "up is not true"),
        ("up == true", "up is true"),
        ("state in ('x', 'y')", "state is one of 'x', 'y'"),
        ("state not in ('x')", "state is none of 'x'"),
        ("a > 1 and up or a > 9", "(a is above 1, and up is true), or a is above 9"),
        ("a > 1 and (up or a > 9)", "a is above 1, and (up is true, or a is above 9)"),
        ("a > 1 and not (up or a > 9)", "a is above 1, and up is not true, and a is at most 9"),
        ("a > 1 and not (up and a > 9)", "a is above 1, and (up is not true, or a is at most 9)"),
        ("rate(hits) >= 5", "hits per second is at least 5"),
        ("delta(hits) > 0", "the growth of hits between two runs is above 0"),
        ("eta(a, 10GiB) < 2d", "the time until a reaches 10GiB is below 2d"),
    ],
)
def test_a_level_reads_as_english(level: str, words: str) -> None:
    assert level_in_words(parse_level(level, COLUMNS)) == words


def test_a_sentence_has_a_capital_and_one_period() -> None:
    assert sentence("indexes that\n  nobody uses") == "Indexes that nobody uses."
    assert sentence("Done.") == "Done."
