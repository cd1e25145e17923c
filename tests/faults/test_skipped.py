"""What our role may not see and what the server does not have: skipped with the reason, told once, never a number."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout

import pytest

from dbwatch.cli import main
from dbwatch.model import Reason, Status
from tests.faults.bench import Bench, bench, bundled, target_of
from tests.harness.postgres import Postgres

STATEMENTS = "pg_stat_statements"


@pytest.fixture
def plain(newest_pg: Postgres) -> Iterator[Bench]:
    """A role that may log in and nothing else, with every check."""
    url = newest_pg.create_monitor_role("plain", grants=())
    with bench(target_of(url), bundled(url)) as site:
        yield site


def test_row_22_a_role_that_may_see_little(plain: Bench) -> None:
    for _ in range(3):
        outcomes = plain.look_at_all()
    hidden = {name for name, outcome in outcomes.items() if outcome.reason is Reason.PRIVILEGE}
    applying = {name for name, outcome in outcomes.items() if outcome.reason is not Reason.ROLE}
    assert hidden >= {name for name in applying if plain.lane.checks[name].requires.privilege}
    assert len(hidden) > 20
    told = [event["check"] for event in plain.events("check changed") if event["reason"] == "privilege"]
    assert sorted(told) == sorted(hidden), "each of them once"
    page = plain.page().splitlines()
    for name in hidden:
        assert (outcomes[name].status, outcomes[name].rows) == (Status.SKIPPED, ())
        assert outcomes[name].remedy or "superuser" in outcomes[name].summary, outcomes[name]
        for column in plain.lane.checks[name].exported.values():
            assert not [line for line in page if line.startswith(f"{column.metric}{{")], name


def test_row_22_explain_names_the_right(plain: Bench) -> None:
    needing = [check for check in plain.lane.checks.values() if check.requires.privilege]
    assert needing
    for check in needing[:3]:
        out = io.StringIO()
        with redirect_stdout(out):
            assert main(["explain", check.name]) == 0
        assert f"the privilege {check.requires.privilege}" in " ".join(out.getvalue().split())


@pytest.fixture(scope="module")
def unloaded() -> Iterator[Postgres]:
    with Postgres(18, settings={"shared_preload_libraries": ""}) as server:
        yield server


@pytest.mark.parametrize("state", ["not installed", "not loaded"])
def test_row_23_an_extension_that_cannot_be_asked(unloaded: Postgres, state: str) -> None:
    unloaded.sql(f"DROP EXTENSION IF EXISTS {STATEMENTS}")
    if state == "not loaded":
        unloaded.sql(f"CREATE EXTENSION {STATEMENTS}")
    url = unloaded.create_monitor_role()
    mark = unloaded.log_mark()
    with bench(target_of(url), bundled(url)) as site:
        for _ in range(2):
            outcomes = site.look_at_all()
        needing = {name for name, check in site.lane.checks.items() if check.requires.extension == STATEMENTS}
        assert needing
        assert {outcomes[name].status for name in needing} == {Status.SKIPPED}
        assert {outcomes[name].reason for name in needing} == {Reason.EXTENSION}
        words = "add pg_stat_statements to shared_preload_libraries" if state == "not loaded" else "CREATE EXTENSION"
        assert [name for name in needing if words not in (outcomes[name].remedy or "")] == []
    assert [line for line in unloaded.log_lines_since(mark) if "ERROR:" in line or "FATAL:" in line] == []
