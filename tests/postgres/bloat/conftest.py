"""The laboratory of the oldest and of the newest major: built, explored and rewritten once, on a server of its own.

The server has no autovacuum. DBWATCH_CASES=all makes one of every major.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from dbwatch.engines.postgres.bloat import activity
from tests.conftest import end_majors
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually
from tests.postgres.bloat import lab
from tests.postgres.bloat.index_shapes import INDEX_SHAPES
from tests.postgres.bloat.table_shapes import TABLE_SHAPES
from tests.postgres.bloat.toast_shapes import TOAST_SHAPES

# Not synchronous_commit=off: VACUUM may not call a page all-visible before its commits are flushed.
QUIET = {
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "shared_buffers": "128MB",
}


@pytest.fixture(scope="package", params=end_majors(), ids=lambda major: f"pg{major}")
def laboratory(request: pytest.FixtureRequest) -> Iterator[lab.Findings]:
    """What the estimators said of every shape, and what was true."""
    with Postgres(request.param, settings=QUIET, name=f"bloat{request.param}") as server:
        server.create_monitor_role(lab.MONITOR)
        reading = ("pg_monitor", "pg_read_all_data") if server.major >= 14 else ("pg_monitor",)
        server.create_monitor_role(lab.READER, grants=reading)
        database = server.create_database("lab")
        server.sql("create domain a_domain as int4; create type a_mood as enum ('sad', 'ok', 'happy')", dbname=database)
        connect = partial(server.connect, dbname=database)
        for shapes in (TABLE_SHAPES, TOAST_SHAPES, INDEX_SHAPES):
            lab.build(connect, server.major, shapes)
        last = INDEX_SHAPES[-1]
        eventually(
            lambda: server.sql(
                "select pg_stat_get_last_analyze_time(%s::regclass) is not null", [last.table], dbname=database
            )[0][0],
            what="the counters of the last shape arrive",
        )
        with pytest.MonkeyPatch.context() as patch:
            # Every counter has been flushed here; `test_late_counters` is about those that come late.
            patch.setattr(activity, "LATE_SECONDS", -1.0)
            findings = lab.explore(connect, server.major)
        yield findings
