"""The tests are shared out by names; a name of nothing would share out badly and say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.sharing import BY_MAJOR, LONGEST, place_of, scope_of

ROOT = Path(__file__).parents[2]


def test_what_is_named_is_there() -> None:
    for name in (*BY_MAJOR, *LONGEST):
        assert (ROOT / name.partition("::")[0]).is_file(), name


@pytest.mark.parametrize(
    ("node_id", "scope"),
    [
        ("tests/web/test_web_app.py::test_x", "tests/web/test_web_app.py"),
        ("tests/web/test_web_app.py::test_x[a::b-pg14]", "tests/web/test_web_app.py"),
        ("tests/checks/test_cases.py::TestPostgres14::test_x[pg14-a]", "tests/checks/test_cases.py::TestPostgres14"),
        (f"{BY_MAJOR[0]}::test_x[pg14-a]", f"{BY_MAJOR[0]}[pg14]"),
        (f"{BY_MAJOR[0]}::test_x[a-pg18]", f"{BY_MAJOR[0]}[pg18]"),
        (f"{BY_MAJOR[0]}::test_x[a]", BY_MAJOR[0]),
    ],
)
def test_what_stays_together(node_id: str, scope: str) -> None:
    assert scope_of(node_id) == scope


def test_the_longest_come_first() -> None:
    ids = ["tests/web/test_web_app.py::test_x", f"{LONGEST[1]}::test_x", f"{LONGEST[0]}::test_x"]
    assert sorted(ids, key=place_of) == ids[::-1]
