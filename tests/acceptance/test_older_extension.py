"""An upgrade of the server leaves extensions at their old version: that costs a column, never a check."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbwatch.adhoc import Selection, run_once
from dbwatch.config.loader import zero_config
from dbwatch.model import Outcome, Reason
from tests.conftest import wanted_majors
from tests.harness.postgres import Postgres

USED_BY = {"pg_stat_statements": "slow_statement", "pg_freespacemap": "table_bloat", "amcheck": "corrupt_index"}
_INSTALLABLE = """
select v.version
from pg_available_extension_versions as v
join pg_available_extensions as a using (name)
where v.name = %s and v.version <> a.default_version
"""
_FILL = """
create table if not exists filled as select g, repeat('x', 50) as t from generate_series(1, 20000) as g;
create index if not exists filled_g on filled (g);
"""


@pytest.fixture(scope="module", params=wanted_majors(), ids=lambda major: f"pg{major}")
def pg(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    with Postgres(request.param) as server:
        server.sql(_FILL)
        server.sql("vacuum analyze filled")
        server.create_monitor_role()
        yield server


def _ask(pg: Postgres, check: str) -> Outcome:
    config = zero_config([pg.url("dbwatch")], environ={})
    (view,) = run_once(config, Selection(checks=(check,)), sample_seconds=0).views
    outcome = view.checks[0].outcome
    assert outcome is not None
    return outcome


@pytest.mark.parametrize("extension", list(USED_BY))
def test_every_version_that_can_be_installed(pg: Postgres, extension: str) -> None:
    versions = [row[0] for row in pg.sql(_INSTALLABLE, [extension])]
    asked = 0
    for version in versions:
        pg.sql(f"drop extension if exists {extension}")
        pg.sql(f"create extension {extension} version '{version}'")
        if extension == "amcheck":
            pg.sql("grant execute on all functions in schema public to dbwatch")
        pg.sql("select count(*) from filled")
        outcome = _ask(pg, USED_BY[extension])
        if outcome.reason in (Reason.EXTENSION, Reason.PRIVILEGE):
            # The check says that this version is too old for it, or lets only a superuser in, and what to do.
            assert outcome.remedy or version in outcome.summary, (version, outcome)
            continue
        assert outcome.answered, (version, outcome)
        if extension == "pg_stat_statements":
            assert outcome.rows, version
            assert all(row.values["calls"] for row in outcome.rows), version
            assert all(row.values["exec_seconds"] is not None for row in outcome.rows), version
        asked += 1
    pg.sql(f"drop extension if exists {extension}")
    assert asked or extension != "pg_stat_statements" or not versions, versions
