"""How many series of single tables begin in a day. Writes build/bench/churn.json."""

from __future__ import annotations

from tests.bench.churn import changes_of_a_day
from tests.bench.notes import write


def test_the_few_change_far_less_than_the_first() -> None:
    seen = changes_of_a_day()
    write("churn", "day", seen)
    assert seen["ours"] * 10 < seen["by_the_totals"]
    assert seen["ours"] * 100 < seen["by_the_last_minutes"]
