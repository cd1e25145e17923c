"""Through PgBouncer in transaction mode: the same answers, nothing left behind in sessions that belong to others."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from dbwatch.model import Reason
from tests.acceptance import estate
from tests.acceptance.command import Answer, clean_environment, dbwatch
from tests.conftest import wanted_majors
from tests.faults.bench import bench, bundled, target_of
from tests.harness.cluster import SAFE
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres

RUNS = 3

ASKED = ("wraparound_risk", "idle_in_transaction", "blocked_session")
SETTINGS = (
    *("search_path", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit"),
    *("max_parallel_workers_per_gather", "client_min_messages", "transaction_read_only", "transaction_isolation"),
    *("client_connection_check_interval", "extra_float_digits", "client_encoding", "application_name"),
)
MANY_RUNS = f"""
import contextlib, io, json, sys
from dbwatch.cli import main
for _ in range({RUNS}):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["check", sys.argv[1], "--format", "json", "--sample", "0"])
    checks = json.loads(out.getvalue())["targets"][0]["checks"]
    unknown = [(c["check"], c["reason"], c["summary"]) for c in checks if c["status"] == "unknown"]
    print(json.dumps([code, unknown]))
"""


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with Postgres(max(wanted_majors()), settings=SAFE) as server:
        estate.build(server)
        server.create_monitor_role()
        server.create_monitor_role("full role", grants=("pg_monitor", "pg_read_all_data"))
        server.sql("CREATE ROLE app LOGIN")
        yield server


@pytest.fixture(scope="module")
def pooler(pg: Postgres) -> Iterator[PgBouncer]:
    """Two server connections for everybody, so that ours are those of others."""
    with PgBouncer(pg, default_pool_size=2, query_wait_timeout=30) as bouncer:
        yield bouncer


def statuses(answer: Answer) -> dict[str, tuple[str, str | None]]:
    return {name: (check["status"], check["reason"]) for name, check in answer.checks.items()}


def settings(session: psycopg.Connection[tuple[object, ...]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in SETTINGS:
        row = session.execute(f"SHOW {name}".encode()).fetchone()
        assert row is not None
        found[name] = row[0]
    return found


@pytest.mark.parametrize("user", ["dbwatch", "full role"])
@pytest.mark.parametrize("dbname", ["postgres", estate.SHOP])
def test_row_27_the_same_answers_as_without_it(pg: Postgres, pooler: PgBouncer, user: str, dbname: str) -> None:
    direct = dbwatch("check", pg.url(user, dbname), "--format", "json", "--rows")
    pooled = dbwatch("check", pooler.url(user, dbname), "--format", "json", "--rows")
    assert pooled.err == ""
    assert pooled.code == direct.code
    assert statuses(pooled) == statuses(direct)
    assert pooled.target["server"] == direct.target["server"]
    for name in ("unused_index", "table_bloat", "wraparound_risk"):
        keys = [sorted(row["key"] for row in answer.checks[name]["rows"]) for answer in (direct, pooled)]
        assert keys[0] == keys[1], name


def test_row_27_a_hundred_runs_of_two_lanes(pg: Postgres, pooler: PgBouncer) -> None:
    """Each statement far more often than a driver waits until it prepares it, on connections that change hands."""
    checks = [check for check in bundled(pg.url()) if check.name in ASKED]
    urls = (pooler.url("dbwatch"), pooler.url("full role"))
    with bench(target_of(pg.url("dbwatch")), checks) as direct, ExitStack() as running:
        sites = [running.enter_context(bench(target_of(url), checks)) for url in urls]
        with ThreadPoolExecutor(len(sites)) as threads:
            for _ in range(100):
                for name in ASKED:
                    found = list(threads.map(lambda site, name=name: site.look(name), sites))
                    assert {outcome.reason for outcome in found} <= {None, Reason.NO_BASELINE}, found
        keys = [[sorted(row.key for row in site.look(name).rows) for name in ASKED] for site in (direct, *sites)]
        assert keys[0] == keys[1] == keys[2]
    with pooler.connect("dbwatch") as session:
        assert session.execute(b"SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_row_27_many_runs_side_by_side(pg: Postgres, pooler: PgBouncer) -> None:
    """Two processes run again and again on two server connections, while an application works on them too."""
    mark = pg.log_mark()
    with pooler.connect("dbwatch", application_name="bystander") as bystander:
        bystander.prepare_threshold = None
        before = settings(bystander)
        runners = [
            subprocess.Popen(
                [sys.executable, "-c", MANY_RUNS, pooler.url("dbwatch")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=clean_environment(),
                cwd=tempfile.gettempdir(),
            )
            for _ in range(2)
        ]
        looks = 0
        while any(runner.poll() is None for runner in runners):
            assert settings(bystander) == before
            looks += 1
        assert looks > 3
        assert settings(bystander) == before
    for runner in runners:
        out, err = runner.communicate(timeout=30)
        assert runner.returncode == 0, err
        assert err == ""
        results = [json.loads(line) for line in out.splitlines()]
        assert len(results) == RUNS
        assert [result for result in results if result[1] or result[0] not in (0, 1)] == []
    noise = [line for line in pg.log_lines_since(mark) if any(w in line for w in ("ERROR:", "FATAL:", "WARNING:"))]
    assert noise == []


def test_row_27_nothing_stays_open_behind_it(pg: Postgres, pooler: PgBouncer) -> None:
    assert dbwatch("check", pooler.url("dbwatch")).code in (0, 1)
    left = pg.sql("SELECT state, query FROM pg_stat_activity WHERE usename = 'dbwatch' AND state <> 'idle'")
    assert left == []
    with pooler.connect("dbwatch") as session:
        assert session.execute(b"SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        assert session.execute(b"SHOW transaction_read_only").fetchone() == ("off",)


def test_found_the_console_of_the_pooler_is_taken_for_a_database(pooler: PgBouncer) -> None:
    """The target names `pgbouncer`, the pooler's own console, which knows no query of ours. That is said in one line,
    without a traceback."""
    answer = dbwatch("check", pooler.url("dbwatch", "pgbouncer"), "--format", "json")
    assert answer.code == 3
    assert answer.err == ""
    assert "internal error" not in answer.out
    asked = [check for name, check in answer.checks.items() if name != "server_unreachable"]
    assert {check["status"] for check in asked} == {"unknown"}
    assert {check["reason"] for check in asked} <= {"error", "connection_lost", "bad_result"}
    assert answer.target["up"] is False


def test_row_28_a_pooler_whose_server_is_away() -> None:
    with Postgres(max(wanted_majors()), settings=SAFE) as server:
        server.create_monitor_role()
        with PgBouncer(server) as bouncer:
            url = bouncer.url("dbwatch")
            assert dbwatch("check", url).code in (0, 1)
            server.stop("immediate")
            for _ in range(2):  # the first notices, the second is told by the pooler at once
                started = time.monotonic()
                answer = dbwatch("check", url, "--format", "json")
                assert time.monotonic() - started < 25
                assert answer.code == 3, answer
                assert answer.target["up"] is False
                reason = answer.target["reason"]
                assert reason in ("unreachable", "timeout", "refused", "connection_lost"), answer.target
                asked = [check for name, check in answer.checks.items() if name != "server_unreachable"]
                assert {check["status"] for check in asked} == {"unknown"}
            assert {check["reason"] for check in asked} == {"unreachable"}
            assert answer.target["reason"] == "unreachable", answer.target["message"]
            server.start()
            back = dbwatch("check", url, "--format", "json")
            while back.code == 3 and time.monotonic() - started < 60:  # the pooler waits before it logs in again
                back = dbwatch("check", url, "--format", "json")
            assert back.code in (0, 1), back
