"""The commands that need no server: list, explain, grants, schema, render, validate, help."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from dbwatch.bundled import bundled
from dbwatch.catalogue import load_catalogue
from dbwatch.render import explain
from dbwatch.strictyaml import read_file
from tests.acceptance import estate
from tests.acceptance.command import ROOT, clean_environment, dbwatch
from tests.conftest import FreshPostgres, FreshRedis, wanted_majors
from tests.harness.binaries import postgres_client
from tests.harness.cluster import SAFE
from tests.harness.sentinel import Sentinel
from tests.unit.render.schema_validation import problems

# Stored passwords are for superusers only, and that is how it should be.
SUPERUSERS = "md5_password"
ESCAPE = "\x1b"
CONFIG = {"targets": [{"name": "shop", "engine": "postgres", "url": "postgresql://h/d"}], "checks_dir": "own"}


def check_files() -> list[Path]:
    """The files of checks; collectors are none."""
    return [path for path in (ROOT / "checks").glob("*/*.yaml") if path.parent.name != "compat"]


def catalogue_names() -> set[str]:
    return {path.stem for path in check_files()}


def test_list() -> None:
    listed = dbwatch("list")
    assert listed.code == 0
    for name in catalogue_names():
        assert re.search(rf"^  {name} ", listed.out, re.MULTILINE), name
    known = json.loads(dbwatch("list", "--format", "json").out)
    assert {check["check"] for check in known} == catalogue_names()
    assert {(check["engine"], check["check"]) for check in known} == {
        (path.parent.name, path.stem) for path in check_files()
    }


def test_explain() -> None:
    by_check = dbwatch("explain", "unused_index")
    rules = yaml.safe_load((ROOT / "alerts" / "postgres.rules.yaml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    assert alerts
    assert by_check.code == 0
    for part in ("Every insert", "counters show no scan", "pg_get_indexdef", "CONCURRENTLY"):
        assert part in by_check.out, part
    known = load_catalogue([bundled("checks")])
    for alert in alerts:
        assert len((explain(known, alert) or "").splitlines()) > 10, alert
    answer = dbwatch("explain", alerts[-1])
    assert answer.code == 0, answer
    assert answer.out.rstrip() == (explain(known, alerts[-1]) or "").rstrip()
    assert ESCAPE not in by_check.out


def test_grants(fresh_postgres: FreshPostgres) -> None:
    """The printed script, run by psql, makes a role that every check can use."""
    pg = fresh_postgres(max(wanted_majors()), settings=SAFE)
    estate.build(pg)
    script = dbwatch("grants", "--engine", "postgres", "--user", "Watch er")
    assert script.code == 0
    psql = [str(postgres_client("psql")), "-X", "-v", "ON_ERROR_STOP=1", "-d", pg.url()]
    subprocess.run(psql, input=script.out, text=True, check=True, capture_output=True, timeout=30)
    answer = dbwatch("check", pg.url("Watch er"), "--format", "json")
    assert answer.code in (0, 1), answer
    statuses = {name: (check["status"], check["reason"]) for name, check in answer.checks.items()}
    assert {name for name, said in statuses.items() if said[0] == "unknown"} == set()
    hidden = {name for name, said in statuses.items() if said[1] == "privilege"}
    assert hidden >= {"table_bloat", "index_bloat", "sequence_exhausted", "weak_host_rule", SUPERUSERS}
    optional = [line.removeprefix("-- ") for line in script.out.splitlines() if line.startswith("-- GRANT")]
    subprocess.run(psql, input="\n".join(optional), text=True, check=True, capture_output=True, timeout=30)
    answer = dbwatch("check", pg.url("Watch er"), "--format", "json")
    assert {check["reason"] for name, check in answer.checks.items() if name != SUPERUSERS} == {None, "role", "setting"}


def test_grants_for_redis(fresh_redis: FreshRedis) -> None:
    """Each printed rule is taken by a real server, and the full ones leave nothing to be asked for."""
    server = fresh_redis("redis-7.0")
    script = dbwatch("grants", "--engine", "redis")
    lines = [line.removeprefix("# ") for line in script.out.splitlines()]
    full, minimal, page, on_sentinels, revealing = (line for line in lines if line.startswith("ACL SETUSER"))
    assert minimal.endswith("-@all +info +ping")
    assert page == "ACL SETUSER dbwatch +latency|histogram +slowlog|len"
    server.command(*page.split())
    assert revealing == "ACL SETUSER dbwatch +config|get"
    with Sentinel(server) as sentinel:
        for one, rule in ((server, full), (sentinel, on_sentinels)):
            one.command(*minimal.split())
            one.command(*rule.split())
            answer = dbwatch("check", one.url(user="dbwatch", password="CHANGE-ME"), "--format", "json")
            assert answer.code in (0, 1), answer
            assert {check["status"] for check in answer.checks.values()} <= {"ok", "warning", "skipped"}
            assert "privilege" not in {check["reason"] for check in answer.checks.values()}


def test_schemas() -> None:
    for_checks = json.loads(dbwatch("schema", "check").out)
    for path in check_files():
        assert list(problems(read_file(path).data, for_checks, for_checks)) == [], path
    assert list(problems({"summary": "x"}, for_checks, for_checks))
    for_configs = json.loads(dbwatch("schema", "config").out)
    assert list(problems(CONFIG, for_configs, for_configs)) == []
    assert list(problems({"target": []}, for_configs, for_configs))


def test_render(tmp_path: Path) -> None:
    written = dbwatch("render", "--out", tmp_path)
    assert written.code == 0, written
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert {path.parts[0] for path in files} == {"alerts", "dashboards", "deploy", "docs"}
    assert [path for path in files if (tmp_path / path).read_bytes() != (ROOT / path).read_bytes()] == []
    assert dbwatch("render", "--out", tmp_path, "--check").code == 0
    shutil.rmtree(tmp_path / "alerts")
    assert dbwatch("render", "--out", tmp_path, "--check").code == 1


def test_validate() -> None:
    answer = dbwatch("validate")
    assert answer.code == 0
    assert f"{len(check_files())} bundled checks are fine" in answer.out
    one = dbwatch("validate", ROOT / "checks" / "postgres" / "unused_index.yaml")
    assert (one.code, one.out) == (0, "1 checks are fine\n")


def test_help_and_version_import_little() -> None:
    heavy = ("psycopg", "redis", "uvicorn", "starlette", "apscheduler", "prometheus_client", "jinja2", "structlog")
    code = (
        "import sys; from dbwatch.cli import main; main([sys.argv[1]]);"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    for option in ("--help", "--version"):
        done = subprocess.run(
            [sys.executable, "-c", code, option],
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=60,
            check=True,
        )
        assert "dbwatch" in done.stdout
        assert done.stderr == "[]\n"


def test_every_command_has_help() -> None:
    top = dbwatch("--help").out
    commands = re.findall(r"^  ([a-z]+)  ", top.split("Commands:")[1], re.MULTILINE)
    assert {"check", "serve", "validate", "list", "explain", "grants", "schema", "render", "demo"} <= set(commands)
    for command in commands:
        answer = dbwatch(command, "--help")
        assert answer.code == 0
        assert answer.out.startswith(f"Usage: dbwatch {command}")
