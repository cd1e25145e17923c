"""Unused on every node, not on one: what a watched standby scans counts, and counts from when its counters count."""

from __future__ import annotations

import pytest

from dbwatch.engines import Engines
from dbwatch.model import Outcome, Reason, Status
from tests.conftest import FreshPostgres, wanted_majors
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually
from tests.postgres.indexes.asking import bundled, lane_to

DATABASE = "nodes"
SETUP = (
    "create table t as select i as a, i as b from generate_series(1, 60000) as i",
    "create index t_here on t (a)",
    "create index t_there on t (b)",
    "create table p (a int, b int) partition by range (a)",
    "create table p1 partition of p for values from (0) to (100000)",
    "insert into p select i, i from generate_series(1, 60000) as i",
    "create index p_there on p (b)",
    "vacuum analyze t",
    "vacuum analyze p",
    "select count(*) from t",
    "select count(*) from p",
)


def scan(server: Postgres, table: str, column: str, index: str) -> None:
    """Let one query use the index, and wait until that has been counted."""
    query = f"select {column} from {table} where {column} = 5"
    server.sql(f"set enable_seqscan = off; set enable_bitmapscan = off; {query}", dbname=DATABASE)
    counted = "select sum(idx_scan) > 0 from pg_stat_user_indexes where indexrelname = %s"
    eventually(lambda: server.sql(counted, [index], dbname=DATABASE)[0][0], what=f"the scan of {index} is counted")


def unused(outcome: Outcome) -> dict[str, float]:
    """How long each index was observed."""
    assert outcome.answered, outcome.summary
    return {row.labels["index"]: row.values["observed_seconds"] or 0.0 for row in outcome.rows}


def since(outcome: Outcome, index: str) -> float:
    """When the window of an index begins, to some milliseconds too late."""
    return outcome.finished_at_seconds - unused(outcome)[index]


@pytest.mark.parametrize("major", sorted({min(wanted_majors()), max(wanted_majors())}), ids=lambda major: f"pg{major}")
def test_a_scan_on_a_watched_standby_is_a_use(fresh_postgres: FreshPostgres, major: int) -> None:
    primary = fresh_postgres(major)
    primary.create_monitor_role()
    primary.create_database(DATABASE)
    for step in SETUP:
        primary.sql(step, dbname=DATABASE)
    standby = primary.standby()
    seen = "select count(*) = 2 from pg_stat_user_tables where seq_scan > 0 and relname in ('t', 'p1')"
    eventually(lambda: primary.sql(seen, dbname=DATABASE)[0][0], what="the reads of both tables are counted")
    primary.wait_caught_up(standby)
    scan(standby, "t", "b", "t_there")
    scan(standby, "p", "b", "p1_b_idx")

    check = bundled("unused_index", {Status.WARNING: "index_bytes > 0"})
    engines = Engines()
    with (
        lane_to(primary, DATABASE, check, engines, "primary") as here,
        lane_to(standby, DATABASE, check, engines, "standby") as there,
    ):
        alone = here.run(check.name)
        assert set(unused(alone)) == {"t_here", "t_there", "p_there"}
        assert all(one.message.endswith(", beside 1 standby whose scans are not seen") for one in alone.findings)

        told = there.run(check.name)
        assert (told.status, told.reason, told.rows) == (Status.SKIPPED, Reason.ROLE, ())

        together = here.run(check.name)
        assert set(unused(together)) == {"t_here"}
        assert together.findings[0].message.endswith(" here and on 1 standby")

        primary.sql("create index t_young on t (a, b)", dbname=DATABASE)
        young = unused(here.run(check.name))
        # Written by a transaction that had not ended when we looked before.
        assert young["t_young"] == 0 < young["t_here"]

        (reset_at,) = standby.sql("select extract(epoch from clock_timestamp())::float8")[0]
        assert since(together, "t_here") < reset_at
        standby.sql("select pg_stat_reset()", dbname=DATABASE)
        gone = "select coalesce(sum(idx_scan), 0) = 0 from pg_stat_user_indexes"
        eventually(lambda: standby.sql(gone, dbname=DATABASE)[0][0], what="the standby's counters are reset")
        there.run(check.name)
        later = here.run(check.name)
        assert {"t_here", "t_there", "p_there"} <= set(unused(later))
        assert since(later, "t_here") >= reset_at
