"""`dbwatch doctor`: a role that may little; the printed statements run as they stand; then nothing is missing."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbwatch.cli import main
from tests.acceptance import estate
from tests.acceptance.command import Answer, dbwatch
from tests.conftest import end_majors, wanted_majors
from tests.harness.binaries import REDIS_ENDS, RedisKind
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer
from tests.harness.sentinel import Sentinel
from tests.harness.sessions import identifier

NAME = 'odd "Näme"'
SECRET = "geheim-und-lang"
SEEING = {"runs", "degraded"}


SETTINGS = {"shared_preload_libraries": "auto_explain"}


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    """A server of the newest major, for what the version does not change."""
    with Postgres(max(wanted_majors()), settings=SETTINGS) as server:
        estate.build(server)
        server.sql("DROP EXTENSION pg_stat_statements")
        yield server


def doctor(*arguments: str) -> Answer:
    """As the command does it, but without a new Python each time."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["doctor", *arguments, "--format", "json"])
    return Answer(code, out.getvalue(), err.getvalue())


def steps(answer: Answer, *, needed: bool = True) -> list[dict[str, Any]]:
    return [step for step in answer.target["steps"] if step["needed"] is needed]


def apply(pg: Postgres, answer: Answer, *, needed: bool = True) -> None:
    """Run what was printed, statement by statement, each where it says."""
    restart = False
    for step in steps(answer, needed=needed):
        for statement in step["statements"]:
            with pg.connect(dbname=step["database"]) as session:
                session.execute(statement.encode())
        restart = restart or step["restart"]
    if restart:
        pg.restart()


def states(answer: Answer) -> dict[str, str]:
    return {check["check"]: check["state"] for check in answer.target["checks"]}


# 16 is where memberships got an INHERIT of their own.
@pytest.mark.parametrize(
    ("major", "options"),
    [
        *((major, "") for major in end_majors()),
        *((major, "NOINHERIT") for major in (15, 16) if major in wanted_majors()),
    ],
    ids=lambda value: f"pg{value}" if isinstance(value, int) else None,
)
def test_what_it_prints_mends_it(major: int, options: str) -> None:
    with Postgres(major, settings=SETTINGS) as pg:
        pg.create_database(estate.CLOSED)
        pg.sql(f"REVOKE CONNECT ON DATABASE {estate.CLOSED} FROM PUBLIC")
        pg.sql("CREATE TABLE filled (id serial PRIMARY KEY, t text)", dbname=estate.CLOSED)
        pg.sql("CREATE TABLE filled AS SELECT g AS id, repeat('x', 90) AS t FROM generate_series(1, 50000) AS g")
        pg.sql("CREATE INDEX ON filled (t, id)")
        pg.sql("VACUUM ANALYZE filled")
        pg.sql(f"CREATE ROLE {identifier(NAME)} LOGIN {options}")
        _mend(pg)


def _mend(pg: Postgres) -> None:
    first = doctor(pg.url(NAME))
    assert first.code == 1, first
    assert first.err == ""
    assert first.target["user"] == NAME
    denied = {check["check"] for check in first.target["checks"] if check["reason"] == "privilege"}
    assert {"blocked_session", "connections_saturated", "index_bloat"} <= denied
    apply(pg, first)
    # The list of preloaded libraries is hidden at first: to guess it would throw others out of it.
    second = doctor(pg.url(NAME))
    assert [step["what"] for step in steps(second)] == ["the library pg_stat_statements is not loaded"]
    apply(pg, second)
    last = doctor(pg.url(NAME))
    assert last.code == 0, steps(last) or [check for check in last.target["checks"] if check["missing"]]
    assert steps(last) == []
    assert not {"degraded", "failed"} & set(states(last).values())
    assert "auto_explain" in pg.sql("SHOW shared_preload_libraries")[0][0]
    assert states(last)["slow_statement"] == "runs"
    checked = dbwatch("check", pg.url(NAME), "--format", "json")
    skipped = {name for name, check in checked.checks.items() if check["reason"] in ("privilege", "extension")}
    told = {name for step in steps(last, needed=False) for name in step["checks"]}
    assert skipped <= told
    apply(pg, last, needed=False)
    left = steps(doctor(pg.url(NAME)), needed=False)
    assert [step for step in left if step["statements"]] == []


def test_membership_without_inheritance(pg: Postgres) -> None:
    pg.sql("CREATE ROLE inert LOGIN NOINHERIT; GRANT pg_monitor, pg_read_all_data TO inert")
    url = pg.url("inert")
    first = doctor(url)
    assert "does not inherit" in steps(first)[0]["what"]
    apply(pg, first)
    assert states(doctor(url))["blocked_session"] == "runs"


def test_a_superuser_is_more_than_needed(pg: Postgres) -> None:
    answer = doctor(pg.url())
    assert answer.target["superuser"] is True
    told = [step for step in steps(answer, needed=False) if "superuser" in step["what"]]
    assert told
    assert "dbwatch grants" in told[0]["instead"]
    assert told[0]["statements"] == []


def test_excess_limits_and_an_ending_password(pg: Postgres) -> None:
    pg.sql("CREATE ROLE much LOGIN REPLICATION CREATEDB CONNECTION LIMIT 2 VALID UNTIL '2026-11-25'")
    pg.sql("ALTER ROLE much VALID UNTIL 'infinity'")
    assert not [step for step in steps(doctor(pg.url("much")), needed=False) if "password of" in step["what"]]
    until = pg.sql("SELECT (now() + interval '5 days')::text")[0][0]
    pg.sql(f"ALTER ROLE much VALID UNTIL '{until}'")
    answer = doctor(pg.url("much"))
    told = [step["what"] for step in steps(answer, needed=False)]
    assert "much has REPLICATION, CREATEDB" in told
    assert "much may open 2 connections" in told
    assert "the password of much ends in 5 days" in told
    apply(pg, answer, needed=False)
    left = [step["what"] for step in steps(doctor(pg.url("much")), needed=False)]
    assert not [what for what in left if "much" in what]


def test_a_closed_database_that_is_left_out_is_not_missed(pg: Postgres, tmp_path: Path) -> None:
    url = pg.create_monitor_role("watcher", grants=("pg_monitor", "pg_read_all_data"))
    assert [step["what"] for step in steps(doctor(url)) if "connect" in step["what"]] == [
        f"watcher may not connect to database {estate.CLOSED}"
    ]
    config = tmp_path / "dbwatch.yaml"
    config.write_text(
        f"targets:\n  - {{name: here, engine: postgres, url: '{url}', databases: {{exclude: [{estate.CLOSED}]}}}}\n"
    )
    answer = doctor("here", "--config", str(config))
    assert answer.err == ""
    assert not [step for step in steps(answer) if "connect" in step["what"]]
    assert states(answer)["unused_index"] == "runs"


def test_an_older_extension(pg: Postgres) -> None:
    versions = [
        row[0]
        for row in pg.sql(
            "SELECT v.version FROM pg_available_extension_versions v JOIN pg_available_extensions a USING (name)"
            " WHERE v.name = 'pg_stat_statements' AND v.version <> a.default_version"
            " AND v.version >= '1.4' ORDER BY string_to_array(v.version, '.')::int[] DESC"
        )
    ]
    if not versions:
        pytest.skip("only one version can be installed here")
    url = pg.create_monitor_role("older")
    pg.sql("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    pg.restart()
    for version in versions[:2]:
        pg.sql("DROP EXTENSION IF EXISTS pg_stat_statements")
        try:
            pg.sql(f"CREATE EXTENSION pg_stat_statements VERSION '{version}'")
            first = doctor(url)
            behind = [
                step for step in steps(first) if "ALTER EXTENSION pg_stat_statements UPDATE;" in step["statements"]
            ]
            assert len(behind) == 1
            assert version in behind[0]["what"]
            assert states(first)["slow_statement"] == "degraded"
            apply(pg, first)
            assert states(doctor(url))["slow_statement"] == "runs"
        finally:
            pg.sql("DROP EXTENSION IF EXISTS pg_stat_statements")
    pg.sql("ALTER SYSTEM RESET ALL")
    pg.restart()


def test_settings_that_count(pg: Postgres) -> None:
    url = pg.create_monitor_role("counter")
    pg.sql("ALTER SYSTEM SET track_counts = off")
    pg.reload()
    first = doctor(url)
    assert [step["statements"][0] for step in steps(first) if "track_counts" in step["what"]] == [
        "ALTER SYSTEM SET track_counts = 'on';"
    ]
    apply(pg, first)
    assert pg.sql("SHOW track_counts") == [("on",)]
    pg.sql("ALTER SYSTEM RESET ALL")
    pg.reload()


def test_platforms_say_their_own_way(pg: Postgres) -> None:
    url = pg.create_monitor_role("hosted", grants=())
    for platform, word in (("rds", "aws rds"), ("aurora", "db-cluster-parameter-group"), ("azure", "az postgres")):
        answer = doctor(url, "--platform", platform)
        assert answer.target["platform"] == platform
        assert "GRANT pg_monitor TO hosted;" in steps(answer)[0]["statements"]
        assert [step for step in steps(answer, needed=False) if word in (step["instead"] or "")]
        assert "ALTER SYSTEM" not in answer.out
    wrong = dbwatch("doctor", url, "--platform", "heroku")
    assert wrong.code == 3
    assert "rds" in wrong.err


def test_text_says_the_same(pg: Postgres) -> None:
    url = pg.create_monitor_role("reader", grants=())
    answer = dbwatch("doctor", url)
    assert answer.code == 1
    assert "GRANT pg_monitor TO reader;" in answer.out
    assert "MISSING  reader is not a member of pg_monitor" in answer.out
    for check in doctor(url).target["checks"]:
        assert check["check"] in answer.out
    assert "\x1b" not in answer.out


def test_through_a_pooler() -> None:
    with Postgres(max(wanted_majors())) as server:
        server.create_monitor_role()
        with PgBouncer(server) as bouncer:
            told = [step["what"] for step in steps(doctor(bouncer.url("dbwatch")), needed=False)]
        assert any("pooler" in what for what in told)
        told = [step["what"] for step in steps(doctor(server.url("dbwatch")), needed=False)]
        assert not any("pooler" in what for what in told)


def test_on_a_standby() -> None:
    with Postgres(max(wanted_majors())) as primary:
        primary.sql("CREATE ROLE plain LOGIN")
        standby = primary.standby()
        answer = dbwatch("doctor", standby.url("plain"))
        assert answer.code == 1
        assert "on the primary, from where it comes here" in answer.out
        apply(primary, doctor(standby.url("plain")))
        primary.wait_caught_up(standby)
        after = doctor(standby.url("plain"))
        assert not [check for check in after.target["checks"] if check["missing"] and check["reason"] == "privilege"]


def test_nobody_there_and_no_secret() -> None:
    answer = dbwatch("doctor", f"postgresql://me:{SECRET}@127.0.0.1:1/db", "--format", "json")
    assert answer.code == 3
    assert answer.document["status"] == "unreachable"
    assert answer.target["reason"] == "refused"
    assert SECRET not in answer.everything
    text = dbwatch("doctor", env={"DATABASE_URL": f"postgresql://me:{SECRET}@127.0.0.1:1/db"})
    assert text.code == 3
    assert "UNREACHABLE" in text.out
    assert SECRET not in text.everything
    assert dbwatch("doctor").code == 3


@pytest.mark.parametrize("kind", REDIS_ENDS)
def test_redis(kind: RedisKind) -> None:
    with RedisServer(kind) as server:
        server.command("ACL", "SETUSER", "monitor", "on", f">{SECRET}", "resetkeys", "-@all")
        url = server.url(user="monitor", password=SECRET)
        first = doctor(url)
        assert first.code == 1, first
        assert SECRET not in first.everything
        (step,) = steps(first)
        (statement,) = step["statements"]
        assert statement.startswith("ACL SETUSER monitor +info +ping")
        server.command(*statement.split())
        last = doctor(url)
        assert last.code == 0, last.out
        assert steps(last) == []
        told = doctor(server.url())
        assert told.code == 0
        assert "default user" in steps(told, needed=False)[0]["what"]


def test_a_redis_user_with_info_and_ping_alone() -> None:
    with RedisServer("redis-7.0") as server, Sentinel(server) as sentinel:
        for one, least in ((server, "+slowlog|get"), (sentinel, "+sentinel|ckquorum")):
            one.command("ACL", "SETUSER", "monitor", "on", f">{SECRET}", "resetkeys", "-@all", "+info", "+ping")
            url = one.url(user="monitor", password=SECRET)
            first = doctor(url)
            (step,) = steps(first)
            (statement,) = step["statements"]
            assert least in statement.split()
            assert "config" not in statement
            one.command(*statement.split())
            last = doctor(url)
            assert (last.code, steps(last)) == (0, []), last.out
        # What is left is advice: a right that would show the passwords to the monitor, and a setting.
        url = server.url(user="monitor", password=SECRET)
        left = {step["what"]: step for step in steps(doctor(url), needed=False)}
        revealing = left["monitor may not run CONFIG GET"]
        assert "passwords" in revealing["why"]
        for step in left.values():
            server.command(*step["statements"][0].split())
        assert steps(doctor(url), needed=False) == []


def test_both_engines_from_the_environment() -> None:
    with Postgres(max(wanted_majors())) as pg, RedisServer("redis-7.0") as redis:
        url = pg.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
        apply(pg, doctor(url))
        answer = dbwatch("doctor", "-f", "json", env={"DATABASE_URL": url, "REDIS_URL": redis.url()})
        document = json.loads(answer.out)
        assert [target["target"] for target in document["targets"]] == ["postgres", "redis"]
        assert answer.code == 0, document
        with pytest.raises(psycopg.errors.InsufficientPrivilege), pg.connect("dbwatch") as session:
            session.execute(b"SELECT pg_read_file('postgresql.conf')")
