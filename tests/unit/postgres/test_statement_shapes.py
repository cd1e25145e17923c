"""Habits in the wording of statements, and what only looks like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbwatch.engines.postgres.statements.shapes import counts_to_compare, skips_rows, takes_all_columns


@pytest.mark.parametrize(
    "text",
    [
        "select a from t order by b limit $1 offset $2",
        "select a from t OFFSET $1 ROWS FETCH NEXT $2 ROWS ONLY",
        "select * from (select a from t order by b offset $1) q",
        "select a from t order by b limit $1 offset ($2 - $3) * $4",
    ],
)
def test_rows_are_skipped(text: str) -> None:
    assert skips_rows(text)


@pytest.mark.parametrize(
    "text",
    [
        'select "offset" from t',
        "select a from t limit $1",
        "select t.offset_id, $1 from t",
        'select "offset" , $1 from t',
        "select kafka.offset($1), o.offset from o",
    ],
)
def test_no_rows_are_skipped(text: str) -> None:
    assert not skips_rows(text)


@pytest.mark.parametrize(
    "text",
    [
        "select * from t",
        "SELECT * FROM public.t WHERE id = $1",
        'select * from "Tab ""1""" as x order by a',
        "select distinct * from only t",
        "select t.*, u.a from t join u on t.id = u.id",
        "select a, u.* from t, u",
        "with x as (select a from t) select * from u",
        "with x as (select a from t) select * from s.x",
        "insert into a select * from b",
        "select * from (select a from t) q join u using (a)",
        "select a from t union all select * from u",
    ],
)
def test_all_columns_are_taken(text: str) -> None:
    assert takes_all_columns(text)


@pytest.mark.parametrize(
    "text",
    [
        "select a, b from t",
        "select count(*) from t",
        "select a * b from t",
        "select a *b, c from t",
        "select $1 * a from t",
        "select a from t where exists (select * from u where u.id = t.id)",
        "select a from t where id in (select id from (select * from u) x)",
        "select * from (select a, b from t) q",
        "select * from (values ($1, $2)) v",
        "select * from generate_series($1, $2)",
        "select * from s.f($1) as x",
        "select * from jsonb_to_record($1) as x(a int)",
        "with x as (select a from t) select * from x",
        "with recursive x (a) as (select a from t), y as (select b from u) select * from x join y using (a)",
        "update t set a = b * c from u",
        "select $1",
        "",
    ],
)
def test_not_all_columns_of_a_table_are_taken(text: str) -> None:
    assert not takes_all_columns(text)


@pytest.mark.parametrize(
    "text",
    [
        "select a from t where (select count(*) from u where u.id = t.id) > $1",
        "select a from t where (select count(u.id) from u) >= $2 and b",
        "select case when (select count(*) from u) = ? then a end from t",
        "select a from t where $1 < (select count(*) from u)",
        "select (select count(*) from u) <> $1",
    ],
)
def test_a_count_is_compared(text: str) -> None:
    assert counts_to_compare(text)


@pytest.mark.parametrize(
    "text",
    [
        "select count(*) from t",
        "select (select count(*) from u) as many from t",
        "select a from t where (select count(*) from u) > b",
        "select a from t where (select count(*) from u) > (select count(*) from v)",
        "select a from t group by a having count(*) > $1",
        "select a from t where (select count(*) from u group by b having count(*) > $1) > $2",
        "select a from t where (select counted from u) > $1",
        "select (select count(*) from u), $1",
        "select (select count(*) from u",
    ],
)
def test_no_count_is_compared_with_a_value(text: str) -> None:
    assert not counts_to_compare(text)


@given(st.text(alphabet='select*,.()"$1?>= fromcount', max_size=60))
def test_no_text_raises(text: str) -> None:
    for habit in (skips_rows, takes_all_columns, counts_to_compare):
        habit(text)
