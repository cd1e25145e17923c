"""The command line as people and programs use it: formats, selection, and what needs no server.

Its exit codes and its streams are in tests/faults/test_exit_codes.py.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.report import Format
from tests.acceptance.chosen import config
from tests.acceptance.command import PROGRAM, Answer, clean_environment, dbwatch
from tests.conftest import FreshPostgres, FreshRedis, wanted_majors
from tests.harness import promtool
from tests.harness.cluster import SAFE
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

ROOT = Path(__file__).parents[2]
ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with Postgres(max(wanted_majors()), settings=SAFE) as server:
        server.create_database("shop")
        server.create_database("other")
        server.sql("CREATE EXTENSION pg_stat_statements")
        for name in ("shop", "other"):
            server.sql(
                "CREATE TABLE t AS SELECT generate_series(1, 60000) AS id; CREATE INDEX t_id ON t (id)", dbname=name
            )
            server.sql("VACUUM ANALYZE", dbname=name)
        server.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
        yield server


@pytest.fixture(scope="module")
def url(pg: Postgres) -> str:
    return pg.url("dbwatch")


def names(answer: Answer) -> set[str]:
    return set(answer.checks)


# -- formats ---------------------------------------------------------------------------------------


def test_json(url: str) -> None:
    answer = dbwatch("check", url, "--format", "json")
    document = answer.document
    assert set(document) >= {"schema_version", "dbwatch_version", "status", "started_at", "duration_seconds", "targets"}
    assert answer.target["server"]["flavour"] == "postgresql"
    for check in answer.target["checks"]:
        assert set(check) >= {"check", "group", "status", "reason", "summary", "duration_seconds", "findings"}
        assert "rows" not in check


def test_rows(url: str) -> None:
    answer = dbwatch("check", url, "--format", "json", "--rows", "--check", "table_bloat")
    rows = answer.checks["table_bloat"]["rows"]
    assert {row["labels"]["database"] for row in rows} == {"shop", "other"}
    assert all(row["status"] == "ok" and row["values"]["bloat_bytes"] is not None for row in rows)
    text = dbwatch("check", url, "--rows", "--check", "table_bloat").out
    assert "shop" in text
    assert "other" in text
    assert "other" not in dbwatch("check", url, "--check", "table_bloat").out


def test_prometheus(url: str) -> None:
    answer = dbwatch("check", url, "--format", "prometheus")
    assert promtool.check_metrics(answer.out) == ""
    assert re.search(r'^dbwatch_target_up\{engine="postgres",target="postgres"\} 1(\.0)?$', answer.out, re.MULTILINE)
    assert "dbwatch_check_status{" in answer.out
    assert "NaN" not in answer.out


def test_nagios(tmp_path: Path, url: str) -> None:
    path = config(
        tmp_path, f"name: shop, engine: postgres, url: '{url}', thresholds: {{chosen: {{warning: number > 1}}}}"
    )
    # Without the groups that give advice: a server of the tests need not be tuned, nor of the newest release.
    operational = [f"--group={group}" for group in ("availability", "connections", "locks", "vacuum", "storage")]
    fine = dbwatch("check", url, "--format", "nagios", *operational)
    bad = dbwatch("check", "--config", path, "--check", "chosen", "--format", "nagios")
    datum = r"'[^'=|]+'=-?[\d.]+(B|s|c|%)?(;[^;\s]*){0,4}"
    line = re.compile(rf"DBWATCH (OK|WARNING|CRITICAL|UNKNOWN) - [^|\n]+ \|( {datum})+")
    for answer, word, code in ((fine, "OK", 0), (bad, "WARNING", 1)):
        first = answer.out.splitlines()[0]
        assert line.fullmatch(first), first
        assert first.startswith(f"DBWATCH {word} - ")
        assert answer.code == code
    assert "two is 2" in bad.out


def test_text_in_a_pipe_is_plain(url: str) -> None:
    answer = dbwatch("check", url)
    assert ESCAPE not in answer.everything
    assert answer.out.startswith("postgres ")
    assert "1 target" in answer.out


@pytest.mark.parametrize(
    ("environment", "options", "colours"),
    [({}, (), True), ({"NO_COLOR": "1"}, (), False), ({}, ("--no-color",), False)],
)
def test_text_on_a_terminal(
    tmp_path: Path, url: str, environment: dict[str, str], options: tuple[str, ...], colours: bool
) -> None:
    path = config(
        tmp_path, f"name: shop, engine: postgres, url: '{url}', thresholds: {{chosen: {{warning: number > 1}}}}"
    )
    told = on_a_terminal("check", "--config", path, *options, env={"TERM": "xterm-256color", **environment})
    assert "WARNING" in told
    assert (ESCAPE in told) is colours


def on_a_terminal(*arguments: object, env: dict[str, str]) -> str:
    """What a person at a terminal sees of stdout."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=clean_environment(**env),
        cwd=tempfile.gettempdir(),
    )
    os.close(theirs)
    told = b""
    try:
        while chunk := os.read(ours, 65536):
            told += chunk
    except OSError:
        pass  # the other side has closed: the end of a terminal
    finally:
        os.close(ours)
        process.wait(30)
    return told.decode()


def test_a_reader_who_leaves_early(url: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; '{sys.executable}' -m dbwatch list | true"],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 3)


@pytest.mark.parametrize("output_format", list(Format))
def test_output(tmp_path: Path, url: str, output_format: str) -> None:
    place = tmp_path / "report"
    answer = dbwatch("check", url, "--format", output_format, "--output", place)
    assert answer.code in (0, 1)
    assert answer.everything == ""
    assert place.read_text().endswith("\n")
    assert ESCAPE not in place.read_text()


# -- selection -------------------------------------------------------------------------------------


def test_which_checks_run(url: str) -> None:
    ask = ("check", url, "--format", "json")
    bloat = {"table_bloat", "index_bloat", "toast_bloat"}
    assert names(dbwatch(*ask, "--check", "*_bloat")) == bloat
    assert names(dbwatch(*ask, "--check", "*_bloat", "--exclude", "index_*")) == bloat - {"index_bloat"}
    assert names(dbwatch(*ask, "--group", "bloat")) == bloat
    both = dbwatch(*ask, "--check", "wraparound_risk", "--check", "unused_index")
    assert names(both) == {"wraparound_risk", "unused_index"}
    everything = names(dbwatch(*ask))
    assert names(dbwatch(*ask, "--exclude", "*_bloat")) == everything - bloat


def test_which_databases_are_looked_at(url: str) -> None:
    def looked_at(*options: str) -> set[str]:
        answer = dbwatch("check", url, "--format", "json", "--rows", "--check", "table_bloat", *options)
        return {row["labels"]["database"] for row in answer.checks["table_bloat"]["rows"]}

    assert looked_at() == {"shop", "other"}
    assert looked_at("--database", "shop") == {"shop"}
    assert looked_at("--database", "sh*", "--database", "other") == {"shop", "other"}
    nowhere = dbwatch("check", url, "--format", "json", "--check", "table_bloat", "--database", "nosuch")
    assert nowhere.checks["table_bloat"]["status"] == "skipped", "nothing was looked at, so nothing is well"


def test_counters_are_read_twice_or_once(tmp_path: Path, url: str) -> None:
    ask = ("check", url, "--format", "json", "--check", "cache_hit_ratio", "--check", "slow_statement")
    once = dbwatch(*ask, "--sample", "0")
    twice = dbwatch(*ask, "--sample", "0.3")
    for check in once.checks.values():
        assert check.get("lifetime") is True
        assert check["status"] in ("ok", "warning")
    for check in twice.checks.values():
        assert "lifetime" not in check
        assert check["status"] in ("ok", "warning")
    assert twice.document["duration_seconds"] >= 0.3
    always = "thresholds: {cache_hit_ratio: {warning: hit_ratio >= 0}}"
    path = config(tmp_path, f"name: shop, engine: postgres, url: '{url}', {always}")
    told = dbwatch("check", "--config", path, "--check", "cache_hit_ratio", "--sample", "0")
    assert told.code == 1, told
    assert "lifetime" in told.out


def test_once_asks_the_server_once(pg: Postgres, url: str) -> None:
    pg.sql("SELECT pg_stat_statements_reset()")
    assert dbwatch("check", url, "--check", "cache_hit_ratio", "--sample", "0").code in (0, 1)
    calls = "SELECT calls FROM pg_stat_statements WHERE query LIKE '%pg_stat_database%' AND query LIKE '%blks_hit%'"
    assert [row for row in pg.sql(calls) if row[0] > 1] == []


# -- targets ---------------------------------------------------------------------------------------


def test_targets_from_the_environment(tmp_path: Path, url: str, fresh_redis: FreshRedis) -> None:
    server = fresh_redis("redis-7.0")
    both = dbwatch("check", "--format", "json", env={"DATABASE_URL": url, "REDIS_URL": server.url()})
    assert [target["target"] for target in both.document["targets"]] == ["postgres", "redis"]
    assert both.code in (0, 1)
    (tmp_path / "pg").write_text(url + "\n")
    (tmp_path / "redis").write_text(server.url() + "\n")
    files = {"DATABASE_URL_FILE": str(tmp_path / "pg"), "REDIS_URL_FILE": str(tmp_path / "redis")}
    from_files = dbwatch("check", "--format", "json", env=files)
    assert [target["up"] for target in from_files.document["targets"]] == [True, True]
    two = dbwatch("check", url, url, server.url(), "--format", "json")
    assert [target["target"] for target in two.document["targets"]] == ["postgres", "postgres-2", "redis"]


def test_targets_of_a_configuration(tmp_path: Path, url: str) -> None:
    one, two = (f"name: {name}, engine: postgres, url: '{url}'" for name in ("one", "two"))
    path = config(tmp_path, one, two)
    ask = ("check", "--format", "json", "--check", "chosen")
    both = dbwatch(*ask, "--config", path)
    assert [target["target"] for target in both.document["targets"]] == ["one", "two"]
    assert dbwatch(*ask, "two", "--config", path).target["target"] == "two"
    assert dbwatch(*ask, "two", env={"DBWATCH_CONFIG": str(path)}).target["target"] == "two"
    count = 1 + sum(path.parent.name != "compat" for path in (ROOT / "checks").glob("*/*.yaml"))
    assert dbwatch("validate", "--config", path).out == f"{path} is fine: 2 targets, {count} checks\n"


def test_passwords_from_elsewhere(tmp_path: Path, fresh_postgres: FreshPostgres) -> None:
    pg = fresh_postgres(max(wanted_majors()))
    pg.create_monitor_role(password="s p@ce/&%")
    pg.hba("host all all 127.0.0.1/32 scram-sha-256")
    (tmp_path / "password").write_text("s p@ce/&%\n")
    place = f"engine: postgres, host: 127.0.0.1, port: {pg.port}, user: dbwatch, dbname: postgres"
    path = config(
        tmp_path,
        f"name: file, {place}, password_file: password",
        f"name: env, {place}, password_env: SECRET_OF_ENV",
        f"name: command, {place}, password_command: [cat, {tmp_path / 'password'}]",
        f"name: url, engine: postgres, url: '{pg.url('dbwatch', 'postgres', 's p@ce/&%')}'",
    )
    answer = dbwatch("check", "--config", path, "--format", "json", env={"SECRET_OF_ENV": "s p@ce/&%"})
    assert [target["up"] for target in answer.document["targets"]] == [True] * 4
    assert "p@ce" not in answer.everything


# -- the end of an impatient run -------------------------------------------------------------------


def test_ctrl_c_ends_a_run_at_once(url: str, pg: Postgres) -> None:
    process = subprocess.Popen(
        [*PROGRAM, "check", f"{url}?application_name=impatient", "--sample", "60"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
        cwd=tempfile.gettempdir(),
    )
    ours = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'impatient' AND state = 'idle'"
    try:
        eventually(lambda: pg.sql(ours), what="the run waits for its second reading")
        process.send_signal(2)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in out + err
    eventually(lambda: not pg.sql(ours), what="its session is gone")
