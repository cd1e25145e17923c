"""The page of faults says what the suite holds, and the suite holds every row."""

from __future__ import annotations

from tests.faults import table
from tests.faults.plugin import Tally
from tests.faults.rows import ROWS


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    assert sorted(ROWS) == list(range(1, 58))
    held = table.by_row()
    assert sorted(held) == sorted(ROWS), "a test of a row that is not there"
    assert [row for row, tests in held.items() if not tests] == []


def test_what_was_found_beyond_says_fault_and_promise() -> None:
    assert len(table.beyond()) >= 5
    assert [held.name for held in table.beyond() if held.told.count(". ") != 1] == []


def test_the_committed_page_is_the_generated_one() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.render(), "run `python -m tests.faults.table`"


def test_a_row_passes_when_a_test_of_it_passed_and_none_failed() -> None:
    tally = Tally()
    assert tally.is_empty
    for number in ROWS:
        tally.add(f"tests/faults/test_x.py::test_row_{number:02}_a[::x-1]", "passed", "call")
    tally.add("tests/faults/test_x.py::test_row_03_b", "skipped", "setup")
    tally.add("tests/web/test_x.py::test_row_04_b", "failed", "call")
    assert tally.line() == "fault rows: passed 57 / 57"
    tally.add("tests/faults/test_x.py::test_row_07_b", "failed", "setup")
    tally.add("tests/faults/test_x.py::test_row_11_b", "failed", "teardown")
    assert tally.line() == "fault rows: passed 55 / 57 (not: 7, 11)"
