"""Row 37, and what a role may and may not: a superuser's login, statistics that are reset, platforms that others run.

The platforms are simulated by what tells them apart: roles, stub functions, functions taken away from everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from dbwatch.model import Reason, Status
from tests.acceptance.command import dbwatch
from tests.conftest import wanted_majors
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.postgres.scale import ruler

TAKEN_AWAY = ("pg_ls_waldir()", "pg_control_system()", "pg_control_checkpoint()", "pg_current_logfile()")
AURORA = """
CREATE FUNCTION pg_catalog.aurora_version() RETURNS text LANGUAGE sql AS $$ SELECT '17.4.1' $$;
CREATE OR REPLACE FUNCTION pg_catalog.pg_last_wal_receive_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS $$ BEGIN
  RAISE 'function pg_last_wal_receive_lsn() is currently not supported for Aurora' USING ERRCODE = '0A000'; END $$;
CREATE OR REPLACE FUNCTION pg_catalog.pg_last_wal_replay_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS $$ BEGIN
  RAISE 'function pg_last_wal_replay_lsn() is currently not supported for Aurora' USING ERRCODE = '0A000'; END $$;
CREATE OR REPLACE FUNCTION pg_catalog.pg_current_wal_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS $$ BEGIN
  RAISE 'function pg_current_wal_lsn() is currently not supported for Aurora' USING ERRCODE = '0A000'; END $$;
CREATE OR REPLACE FUNCTION pg_catalog.pg_current_wal_flush_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS $$ BEGIN
  RAISE 'function pg_current_wal_flush_lsn() is currently not supported for Aurora' USING ERRCODE = '0A000'; END $$;
"""
HONEST = {Reason.ROLE, Reason.VERSION, Reason.SETTING, Reason.EXTENSION, Reason.PLATFORM, Reason.PRIVILEGE}


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    settings = {"allow_system_table_mods": "on", "autovacuum": "off"}
    with Postgres(max(wanted_majors()), settings=settings) as server:
        server.create_monitor_role(ruler.ROLE, grants=("pg_monitor", "pg_read_all_data"))
        server.sql("CREATE TABLE filled AS SELECT g AS id FROM generate_series(1, 1000) AS g; ANALYZE filled")
        yield server


@contextmanager
def roles(pg: Postgres, *names: str) -> Iterator[None]:
    for name in names:
        pg.sql(f"CREATE ROLE {name}")
    try:
        yield
    finally:
        for name in names:
            pg.sql(f"DROP ROLE {name}")


# -- row 37 ----------------------------------------------------------------------------------------


def test_row_37_a_reset_of_the_statistics_is_no_finding(pg: Postgres) -> None:
    with ruler.lane(pg, "postgres") as (lane, _):
        assert lane.connect()
        before = {name: lane.run(name) for name in lane.checks}
        before |= {name: lane.run(name) for name in lane.checks}
        pg.sql("SELECT pg_stat_reset()")
        pg.sql("SELECT pg_stat_reset_shared(kind) FROM unnest(ARRAY['bgwriter', 'archiver', 'wal']) AS kind")
        with capture_logs() as logged:
            after = {name: lane.run(name) for name in lane.checks}
        counter = after["cache_hit_ratio"].rows
    worse = {
        name: (before[name].summary, outcome.summary)
        for name, outcome in after.items()
        if outcome.status in (Status.WARNING, Status.CRITICAL) and before[name].status is not outcome.status
    }
    assert worse == {}
    assert not [event for event in logged if event["log_level"] in ("error", "critical")]
    fell = [
        (row.key, name)
        for row in counter
        for old in before["cache_hit_ratio"].rows
        if old.key == row.key
        for name, value in row.values.items()
        if value is not None and (then := old.values.get(name)) is not None and value < then
    ]
    assert fell, "the counters are exported as they are: Prometheus sees the reset itself"
    negative = [
        (check, row.key, name)
        for check, outcome in after.items()
        for row in outcome.rows
        for name, value in row.values.items()
        if value is not None and value < 0 and name.endswith(("_rate", "_ratio", "_total"))
    ]
    assert negative == []


# -- more rights than needed -----------------------------------------------------------------------


def test_found_a_monitor_that_is_a_superuser(pg: Postgres) -> None:
    """The monitor logs in as a superuser. It works, and says so: log (once), page, metric, doctor."""
    text = (
        "defaults: {profile: minimal}\ntargets:\n"
        f"  - {{name: shop, engine: postgres, url: '{pg.url()}'}}\n"
        f"  - {{name: fine, engine: postgres, url: '{pg.url(ruler.ROLE)}'}}\n"
    )
    with Daemon(config_text=text) as daemon:
        daemon.wait_ready()
        events = [event for event in daemon.log_events() if event["event"] == "role may more than it needs"]
        assert [(event["target"], event["excess"]) for event in events] == [("shop", ["SUPERUSER"])]
        page = daemon.metrics().splitlines()
        told = [line for line in page if line.startswith("dbwatch_target_excess_privilege{")]
        assert told == ['dbwatch_target_excess_privilege{privilege="SUPERUSER",target="shop"} 1.0']
        servers = {target["target"]: target["server"] for target in daemon.status()["targets"]}
        assert servers["shop"]["excess"] == ["SUPERUSER"]
        assert "excess" not in servers["fine"]
        assert "more rights than needed: SUPERUSER" in daemon.get("/").text
    answer = dbwatch("doctor", pg.url(), "--format", "json")
    assert any("superuser" in step["what"] for step in answer.target["steps"])


def test_found_a_role_with_dangerous_attributes(pg: Postgres) -> None:
    """The role may replicate, make roles and pass row security. Each is named."""
    pg.sql("CREATE ROLE mighty LOGIN REPLICATION CREATEROLE BYPASSRLS; GRANT pg_monitor TO mighty")
    answer = dbwatch("check", pg.url("mighty"), "--check", "idle_in_transaction", "--format", "json")
    assert set(answer.target["server"]["excess"]) == {"REPLICATION", "CREATEROLE", "BYPASSRLS"}


# -- managed platforms -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "flavour"),
    [
        ("rds_superuser", "rds"),
        ("cloudsqlsuperuser", "cloudsql"),
        ("azure_pg_admin", "azure"),
        ("neon_superuser", "neon"),
        ("supabase_admin", "supabase"),
    ],
)
def test_found_a_platform_is_told_by_its_roles(pg: Postgres, role: str, flavour: str) -> None:
    """A provider's superuser stands beside ours, and ours is none. The platform is named, and nothing else changes."""
    with roles(pg, role):
        answer = dbwatch(
            "check", pg.url(ruler.ROLE), "--check", "server_unreachable", "--check", "idle*", "--format", "json"
        )
    assert answer.target["server"]["flavour"] == flavour
    assert "excess" not in answer.target["server"]
    assert answer.code == 0


def test_found_functions_are_taken_away(pg: Postgres) -> None:
    """A provider keeps functions of the server for itself. What needs them is skipped with the reason."""
    granted = [f"REVOKE EXECUTE ON FUNCTION pg_catalog.{name} FROM PUBLIC, pg_monitor" for name in TAKEN_AWAY]
    with roles(pg, "rds_superuser"):
        pg.sql("; ".join(granted))
        try:
            with ruler.lane(pg, "postgres") as (lane, _):
                assert lane.connect()
                outcomes = {name: lane.run(name, lifetime=True) for name in lane.checks}
        finally:
            pg.sql("; ".join(f"GRANT EXECUTE ON FUNCTION pg_catalog.{name} TO pg_monitor" for name in TAKEN_AWAY))
    skipped = {name: outcome.reason for name, outcome in outcomes.items() if outcome.status is Status.SKIPPED}
    assert Reason.PRIVILEGE in skipped.values()
    assert set(skipped.values()) <= HONEST
    assert {name: outcome for name, outcome in outcomes.items() if outcome.status is Status.UNKNOWN} == {}
    assert outcomes["idle_in_transaction"].status is Status.OK


@pytest.mark.parametrize("major", [max(wanted_majors())])
def test_found_aurora_has_no_log_positions(major: int) -> None:
    """The functions of a log that Aurora does not have raise an error. Their checks are skipped as of the platform."""
    with Postgres(major, settings={"allow_system_table_mods": "on"}) as server:
        server.create_monitor_role(ruler.ROLE, grants=("pg_monitor", "pg_read_all_data"))
        server.sql(AURORA)
        with ruler.lane(server, "postgres") as (lane, store):
            assert lane.connect()
            outcomes = {name: lane.run(name, lifetime=True) for name in lane.checks}
            facts = store.state(lane.target.name).facts
    assert facts is not None
    assert facts.flavour == "aurora"
    unknown = {name: outcome.summary for name, outcome in outcomes.items() if outcome.status is Status.UNKNOWN}
    assert unknown == {}
    skipped = {outcome.reason for outcome in outcomes.values() if outcome.status is Status.SKIPPED}
    assert Reason.PLATFORM in skipped
    assert skipped <= HONEST
