"""One run of every PostgreSQL check by `dbwatch check`, held to what is true of every such answer, whoever asks."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest

from tests.acceptance.command import Answer, dbwatch
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

# The servers of the tests trade safety for speed; what that is called has cases of its own.
UNSAFE = "durability_off"
ANSWERED = {"ok", "warning", "critical"}
NOISE = re.compile(r"\b(WARNING|ERROR|FATAL|PANIC|STATEMENT): ")
CAPS = re.compile(
    r'GRANT (?P<role>"?[a-z_]+"?|EXECUTE ON FUNCTION (?P<function>.+)) TO "?(?P<user>[\w ]+)"?;.*', re.DOTALL
)
# What says "no backup source", "archives no log" and the like, instead of naming a setting that would do.
ARCHIVE = {"backup_stale", "archiver_failing"}
# What asks only about what its owner has named.
UNNAMED = "backup_marker_old"
# What only a target of `engine: host` can tell.
UNTOLD = "slot_filling_volume"
# What only a superuser may see until somebody grants more than the predefined roles.
SUPERUSERS = "md5_password"
BEYOND_MONITORING = {"weak_host_rule", "broken_host_rule", SUPERUSERS}


@cache
def listed() -> tuple[dict[str, Any], ...]:
    """All PostgreSQL checks that run by default, by the product's own list."""
    answer = dbwatch("list", "--format", "json")
    assert answer.code == 0
    checks = [check for check in json.loads(answer.out) if check["engine"] == "postgres" and check["enabled"]]
    return tuple(check for check in checks if check["check"] != UNSAFE and check["profile"] != "deep")


def catalogue() -> frozenset[str]:
    return frozenset(check["check"] for check in listed())


def needing(requirement: str, *values: str) -> set[str]:
    """The checks that declare this requirement, with one of these values if any are given."""
    return {
        check["check"]
        for check in listed()
        if (wanted := check["requires"][requirement]) is not None and (not values or wanted in values)
    }


def ask(pg: Postgres, user: str, *arguments: str, dbname: str = "postgres", leashed: bool = False) -> Answer:
    """Run all checks as `user`, and hold the run to what is always true.

    `leashed`: a time limit of milliseconds may end a `begin`, before our own limit is set; we ask once more.
    """
    mark = pg.log_mark()
    asked = ("check", pg.url(user, dbname), "--format", "json", "--sample", "0.2", "--exclude", UNSAFE, *arguments)
    answer = dbwatch(*asked)
    if leashed and answer.code == 3:
        answer = dbwatch(*asked)
    assert answer.code in (0, 1), {
        name: check for name, check in answer.checks.items() if check["status"] in ("critical", "unknown")
    }
    assert answer.err == "", answer.err
    complete(answer, pg, user, dbname)
    gone(pg)
    lines = pg.log_lines_since(mark)
    noise = [line for line in lines if NOISE.search(line)]
    if leashed:
        noise = [line for line in noise if " ERROR: " in line and "canceling statement due to" not in line]
    assert noise == []
    if pg.settings.get("log_connections") == "on":
        # Two of ours at once; the server counts those that we have closed until their processes are gone.
        assert 1 <= most_connections(lines, user) <= 5
    return answer


def complete(answer: Answer, pg: Postgres, user: str, dbname: str) -> None:
    """Every check of the catalogue is there, with a verdict or with a reason that is true."""
    assert set(answer.checks) == catalogue()
    assert answer.target["up"] is True
    for name, check in answer.checks.items():
        if check["status"] == "skipped":
            true_reason(check, pg, user, dbname)
        else:
            assert check["status"] in ANSWERED, (name, check)
            assert check["reason"] is None, (name, check)


def true_reason(check: dict[str, Any], pg: Postgres, user: str, dbname: str) -> None:
    """The server itself says the same."""
    match check["reason"]:
        case "role":
            wanted = "standby" if "runs on a standby" in check["summary"] else "primary"
            assert pg.in_recovery() is (wanted == "primary"), check
        case "privilege" if check["check"] == SUPERUSERS:
            assert pg.sql("SELECT has_table_privilege(%s, 'pg_authid', 'select')", [user]) == [(False,)], check
        case "privilege":
            grant = CAPS.fullmatch(check["remedy"])
            assert grant is not None, check
            assert grant["user"] == user, check
            if grant["function"] is not None:
                held = pg.sql("SELECT has_function_privilege(%s, %s, 'execute')", [user, grant["function"]])
            else:
                held = pg.sql("SELECT pg_has_role(%s, %s, 'usage')", [user, grant["role"].strip('"')])
            assert held == [(False,)], check
        case "setting" if check["check"] in ARCHIVE:
            assert pg.sql("SHOW archive_mode") == [("off",)]
        case "setting" if check["check"] == UNNAMED:
            assert check["summary"] == "no table is named in `marker:`"
        case "setting" if check["check"] == UNTOLD:
            assert check["summary"].startswith("no target of `engine: host` names this one in `of:`")
        case "setting":
            named = re.search(r"needs (\w+)$", check["summary"])
            assert named is not None, check
            assert pg.sql(f"SHOW {named.group(1)}") == [("off",)], check
        case "no_baseline":
            assert check["check"] == "standby_setting_lower", check
            assert pg.in_recovery(), "its primary is not watched"
        case "extension":
            named = re.search(r"the extension (\w+)", check["summary"])
            assert named is not None, check
            assert f"CREATE EXTENSION {named.group(1)};" in check["remedy"]
            limits = ("statement_timeout", "transaction_timeout") if pg.major >= 17 else ("statement_timeout",)
            options = " ".join(f"-c {limit}=0" for limit in limits) + " -c search_path=pg_catalog"
            with pg.connect(dbname=dbname, options=options) as session:
                installed = session.execute(b"SELECT extname FROM pg_extension").fetchall()
            assert (named.group(1),) not in installed
        case "lock":
            assert pg.sql("SELECT count(*) > 0 FROM pg_locks WHERE mode = 'AccessExclusiveLock'") == [(True,)]
        case "statistics":
            assert check["remedy"] == "ANALYZE;"
            stale = "n_mod_since_analyze > 0 OR coalesce(last_analyze, last_autoanalyze) IS NULL"
            assert any(
                pg.sql(f"SELECT count(*) > 0 FROM pg_stat_user_tables WHERE {stale}", dbname=name) == [(True,)]
                for (name,) in pg.sql("SELECT datname FROM pg_database WHERE datallowconn")
            ), check
        case _:
            pytest.fail(f"unexpected reason: {check}")


def gone(pg: Postgres) -> None:
    """Nothing of ours is left in the server. A backend takes a moment to go after its client has."""
    left = "SELECT pid, state, query FROM pg_stat_activity WHERE application_name = 'dbwatch'"
    eventually(lambda: not pg.sql(left), what="no session of dbwatch is left")


def most_connections(lines: list[str], user: str) -> int:
    """How many sessions of `user` the server had at once, by its log."""
    now = most = 0
    for line in lines:
        if f"connection authorized: user={user}" in line:
            now += 1
        elif "disconnection: session time:" in line and f"user={user} " in line:
            now -= 1
        most = max(most, now)
    return most
