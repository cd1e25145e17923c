"""A dear question is asked only where the cheap one before it finds a row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dbwatch.model import Outcome, Status
from tests.faults.bench import bench, own_check, target_of
from tests.harness.postgres import Postgres

SIGN = "select c.oid from pg_catalog.pg_class as c where c.relname = 'only_if_sign'"
FAILS = "select 'mail'::text as queue, 1 / (select 0) as length"


def test_without_its_sign_the_question_is_not_asked(newest_pg: Postgres, tmp_path: Path) -> None:
    url = newest_pg.create_monitor_role()
    check = replace(own_check(tmp_path, "sign", FAILS), only_if=SIGN)
    newest_pg.sql("drop table if exists only_if_sign")
    with bench(target_of(url), [check]) as site:
        for _ in range(3):
            outcome = site.look("sign")
            assert (outcome.status, outcome.rows, outcome.dropped_rows) == (Status.OK, (), 0)
        newest_pg.sql("create table only_if_sign (id int)")
        asked = site.look("sign")
        newest_pg.sql("drop table only_if_sign")
    assert isinstance(asked, Outcome)
    assert asked.status is Status.UNKNOWN
    assert "division by zero" in asked.summary


def test_a_sign_of_many_rows_cuts_nothing(newest_pg: Postgres, tmp_path: Path) -> None:
    check = replace(own_check(tmp_path, "many"), only_if="select c.oid from pg_catalog.pg_class as c")
    with bench(target_of(newest_pg.create_monitor_role()), [check]) as site:
        outcome = site.look("many")
    assert (outcome.status, len(outcome.rows), outcome.dropped_rows) == (Status.OK, 1, 0)
