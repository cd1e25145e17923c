"""What of a statement's text may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.engines.postgres.statements.wording import HIDDEN, MOST_CHARACTERS, wording

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("select *\n  from t\twhere id = $1", "select * from t where id = $1"),
        ("SELECT a -- bob@example.com\nFROM t", "SELECT a FROM t"),
        ("select /* one /* two */ hunter2 */ a from t;", "select a from t"),
        ("/* hunter2 */ select a", "select a"),
        ('select "a--b", "c/*d" from "Tab ""1"""', 'select "a--b", "c/*d" from "Tab ""1"""'),
        ("select a$1 from t where b=$12", "select a$1 from t where b=$12"),
    ],
)
def test_a_query_is_shown_on_one_line_and_can_be_planned(raw: str, shown: str) -> None:
    said = wording(raw, 18)
    assert (said.text, said.whole, said.reason) == (shown, True, None)


@pytest.mark.parametrize(
    "raw",
    [
        "select 'hunter2'",
        "select E'it\\'s hunter2'",
        "select U&'hunter2'",
        "select 'it''s hunter2'",
        "select $$hunter2$$",
        "select $tag$ $$hunter2$$ $tag$",
        "select $tag$hunter2",
        "select 'hunter2",
        "select N'hunter2', b'101', x'1F'",
        "call f('hunter2')",
        "do $$ begin perform 'hunter2'; end $$",
        "create view v as select 'hunter2' as a",
        "copy (select 'hunter2') to stdout",
    ],
)
def test_values_are_never_shown(raw: str) -> None:
    said = wording(raw, 18)
    assert said.text is not None
    assert SECRET not in said.text
    assert "?" in said.text
    assert not said.whole


def test_numbers_are_values_and_names_with_digits_are_not() -> None:
    assert wording("select a1, 4711, 1.5e-3, .5, 1_000, 0xFF from t2 where c::numeric(10, 2) = $1", 18).text == (
        "select a1, ?, ?, ?, ?, ? from t2 where c::numeric(?, ?) = $1"
    )


@pytest.mark.parametrize(
    "raw",
    [
        "alter role bob password 'hunter2'",
        "CREATE USER bob PASSWORD $1",
        "create subscription s connection 'password=hunter2' publication p",
        "/* c */ alter user mapping for bob server s options (password 'hunter2')",
        "create server s foreign data wrapper f options (host 'hunter2')",
        "set vault.password to 'hunter2'",
    ],
)
@pytest.mark.parametrize("major", [14, 18])
def test_statements_about_passwords_are_not_shown(raw: str, major: int) -> None:
    said = wording(raw, major)
    assert said.text is None
    assert said.reason is not None
    assert SECRET not in said.reason


@pytest.mark.parametrize("raw", ["set a = 'hunter2'", "call f($1)", "explain select 1", "begin", "fetch 5 from c", ""])
def test_utility_statements_before_16_are_not_shown(raw: str) -> None:
    assert wording(raw, 15).text is None
    assert wording("/* a */ ( select a from t ) union select b from t", 15).text is not None
    assert wording("with a as (select b from c) select * from a", 15).whole


def test_a_text_we_may_not_see_or_that_is_gone_has_a_reason() -> None:
    assert "pg_read_all_stats" in (wording(HIDDEN, 18).reason or "")
    assert "no longer" in (wording(None, 18).reason or "")
    assert wording(HIDDEN, 18).text is wording(None, 18).text is None


def test_a_long_text_is_cut_and_cannot_be_planned() -> None:
    said = wording("select " + ", ".join(f"column_{n}" for n in range(5000)) + " from t", 18)
    assert said.text is not None
    assert len(said.text) == MOST_CHARACTERS
    assert said.text.endswith("…")
    assert not said.whole


@given(st.text(alphabet="sel'\"$-/*\\ \n1aé;(.E", max_size=60), st.sampled_from([14, 18]))
def test_any_text_ends_and_says_no_string(raw: str, major: int) -> None:
    said = wording(raw, major)
    if said.text is not None:
        assert len(said.text) <= MOST_CHARACTERS
        assert "\n" not in said.text.split('"')[0]


@given(st.text(max_size=30))
def test_what_is_quoted_is_never_shown(inside: str) -> None:
    quoted = inside.replace("'", "''").replace("\\", "")
    said = wording(f"select a from b where c = '{quoted}' and d = $1", 18)
    assert said.text == "select a from b where c = ? and d = $1"
