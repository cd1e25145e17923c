"""synchronous_standby_names, as the server reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.engines.postgres.replication.syncnames import SyncNames, parse_sync_names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("   ", None),
        ("a", SyncNames(1, ("a",))),
        ("a, b", SyncNames(1, ("a", "b"))),
        ("*", SyncNames(1, ("*",))),
        ("2 (a, b, c)", SyncNames(2, ("a", "b", "c"))),
        ("FIRST 2 (a,b)", SyncNames(2, ("a", "b"))),
        ("first 1 ( a )", SyncNames(1, ("a",))),
        ("ANY 2(a, b, c)", SyncNames(2, ("a", "b", "c"), quorum=True)),
        ("any 1 (*)", SyncNames(1, ("*",), quorum=True)),
        ('ANY 1 ("we""ird, (1)", b)', SyncNames(1, ('we"ird, (1)', "b"), quorum=True)),
        ('"first", any', SyncNames(1, ("first", "any"))),
        ('1 ("Ü x")', SyncNames(1, ("Ü x",))),
        ("FIRST (a)", None),
        ("SOME 2 (a)", None),
    ],
)
def test_every_form(text: str, expected: SyncNames | None) -> None:
    assert parse_sync_names(text) == expected


def test_who_is_absent() -> None:
    names = SyncNames(2, ("a", "B c", "*"))
    assert names.absent(["A", "x"]) == ("B c",)
    assert names.absent(["a", "b C"]) == ()


@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1), min_size=1), st.integers(1, 9))
def test_any_name_can_be_quoted(names: list[str], count: int) -> None:
    quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
    assert parse_sync_names(f"ANY {count} ({quoted})") == SyncNames(count, tuple(names), quorum=True)


@given(st.text())
def test_nothing_raises(text: str) -> None:
    parse_sync_names(text)
