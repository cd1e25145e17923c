"""`dbwatch check --baseline FILE` in a pipeline: recorded once, then only what is new makes it fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.command import dbwatch
from tests.conftest import wanted_majors
from tests.harness.postgres import Postgres

PLANTED = """\
summary: Roles that a test has planted
group: tests
why: the test makes and drops them
sql: |
  select r.rolname::text as role, r.rolconnlimit::float8 as weight
  from pg_catalog.pg_roles as r
  where r.rolname like 'planted%'
columns:
  role: {use: label}
  weight: {use: gauge, metric: dbwatch_pg_planted_weight, help: A number.}
levels: {critical: weight > 10, warning: weight > 0}
key: [role]
message: "{role} weighs {weight}"
fix: "DROP ROLE {role:ident};"
runbook: {meaning: a, impact: b, diagnosis: c, mitigation: d}
"""


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with Postgres(max(wanted_majors())) as server:
        server.create_monitor_role()
        server.sql('create role "planted ü" connection limit 1')
        yield server


@pytest.fixture
def ask(tmp_path: Path, pg: Postgres) -> list[str | Path]:
    own = tmp_path / "own" / "postgres" / "planted_role.yaml"
    own.parent.mkdir(parents=True)
    own.write_text(PLANTED)
    config = tmp_path / "dbwatch.yaml"
    config.write_text(f"targets: [{{name: shop, engine: postgres, url: {pg.url('dbwatch')!r}}}]\nchecks_dir: own\n")
    return ["check", "--config", config, "--check", "planted_role", "--baseline", tmp_path / "known.json"]


def test_recorded_once_then_only_news_fail(ask: list[str | Path], pg: Postgres, tmp_path: Path) -> None:
    first = dbwatch(*ask, "--fail-on-new")
    assert first.code == 0, first
    known = json.loads((tmp_path / "known.json").read_text())
    assert [finding["key"] for finding in known["findings"]] == ["planted ü"]

    assert dbwatch(*ask, "--fail-on-new").code == 0
    assert dbwatch(*ask).code == 1, "without --fail-on-new a warning is a warning"
    assert "(unchanged)" in dbwatch(*ask).out

    pg.sql("create role planted_b connection limit 2")
    try:
        news = dbwatch(*ask, "--fail-on-new", "--format", "json")
        assert news.code == 1
        said = {finding["key"]: finding["baseline"] for finding in news.checks["planted_role"]["findings"]}
        assert said == {"planted ü": "unchanged", "planted_b": "new"}

        pg.sql('alter role "planted ü" connection limit 20')
        worse = dbwatch(*ask, "--fail-on-new", "--format", "json")
        assert (worse.code, worse.document["baseline"]["worse"]) == (2, 1)

        assert dbwatch(*ask, "--fail-on-new", "--update-baseline").code == 2, "the run that records still tells"
        assert dbwatch(*ask, "--fail-on-new").code == 0
    finally:
        pg.sql("drop role planted_b")
        pg.sql('alter role "planted ü" connection limit 1')
    gone = dbwatch(*ask)
    assert "1 fixed" in gone.out
    assert "fixed  shop planted_role planted_b" in gone.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fail-on-new"], "--fail-on-new: needs a baseline (add --baseline FILE)"),
        (["--update-baseline"], "--update-baseline: needs a baseline (add --baseline FILE)"),
        (["--baseline", "/proc/version"], "/proc/version: is not a baseline"),
        (["--baseline", "/nowhere/at/all"], "/nowhere/at/all: cannot be written"),
    ],
)
def test_what_cannot_be_a_baseline(pg: Postgres, arguments: list[str], said: str) -> None:
    answer = dbwatch("check", pg.url("dbwatch"), "--check", "server_unreachable", *arguments)
    assert answer.code == 3
    assert said in answer.err
    assert "Traceback" not in answer.err
