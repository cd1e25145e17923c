"""Every supported PostgreSQL, as a monitoring role sees it: a whole answer, a quiet log, two connections at most."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
import pytest

from tests.acceptance import estate
from tests.acceptance.command import Answer, dbwatch
from tests.conftest import FreshPostgres, wanted_majors
from tests.harness.fakepg import FakePg
from tests.harness.postgres import Postgres
from tests.harness.sessions import identifier
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
# What only a superuser may see until somebody grants more than the predefined roles.
SUPERUSERS = "md5_password"
BEYOND_MONITORING = {"weak_host_rule", "broken_host_rule", SUPERUSERS}


@dataclass(frozen=True, slots=True)
class Estate:
    """A filled primary, and its standby."""

    primary: Postgres
    standby: Postgres

    def add_role(self, name: str, *grants: str) -> None:
        self.primary.create_monitor_role(name, grants=grants)
        self.primary.wait_caught_up(self.standby)


@pytest.fixture(scope="module", params=wanted_majors(), ids=lambda major: f"pg{major}")
def servers(request: pytest.FixtureRequest) -> Iterator[Estate]:
    settings = {"log_connections": "on", "log_disconnections": "on"}
    with Postgres(request.param, settings=settings) as primary:
        estate.build(primary)
        standby = primary.standby()
        servers = Estate(primary, standby)
        servers.add_role("dbwatch", "pg_monitor")
        servers.add_role("plain")
        servers.add_role("full role", "pg_monitor", "pg_read_all_data")
        yield servers


@cache
def listed() -> tuple[dict[str, Any], ...]:
    """All PostgreSQL checks that run by default, by the product's own list."""
    answer = dbwatch("list", "--format", "json")
    assert answer.code == 0
    checks = [check for check in json.loads(answer.out) if check["engine"] == "postgres" and check["enabled"]]
    return tuple(check for check in checks if check["check"] != UNSAFE)


def catalogue() -> frozenset[str]:
    return frozenset(check["check"] for check in listed())


def needing(requirement: str, *values: str) -> set[str]:
    """The checks that declare this requirement, with one of these values if any are given."""
    return {
        check["check"]
        for check in listed()
        if (wanted := check["requires"][requirement]) is not None and (not values or wanted in values)
    }


# -- what must be true of every answer -------------------------------------------------------------


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
            with pg.connect(dbname=dbname, options="-c statement_timeout=0 -c search_path=pg_catalog") as session:
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


def reasons(answer: Answer) -> dict[str, set[str]]:
    """The names of the skipped checks, by reason."""
    found: dict[str, set[str]] = {}
    for name, check in answer.checks.items():
        if check["status"] == "skipped":
            found.setdefault(check["reason"], set()).add(name)
    return found


def databases(check: dict[str, Any]) -> set[str]:
    return {row["labels"]["database"] for row in check["rows"]}


# -- roles -----------------------------------------------------------------------------------------


def test_a_monitoring_role(servers: Estate) -> None:
    answer = ask(servers.primary, "dbwatch", "--rows")
    assert answer.target["server"]["role"] == "primary"
    assert answer.target["server"]["version"].startswith(str(servers.primary.major))
    # Statistics of columns are shown to those who may read the rows: nothing can be said, so nothing is.
    skipped = reasons(answer)
    assert set(skipped) <= {"role", "privilege", "setting"}
    assert skipped["role"] == needing("role", "standby") | {"replication_lag"}
    assert skipped["privilege"] >= {"table_bloat", "index_bloat", "sequence_exhausted"}
    assert skipped["setting"] >= ARCHIVE
    assert databases(answer.checks["unused_index"]) == {estate.SHOP}
    assert databases(answer.checks["wraparound_risk"]) >= {estate.SHOP, estate.PLAIN, estate.CLOSED, "postgres"}
    assert answer.checks["replica_lag"]["rows"], "its standby streams"


def test_a_monitoring_role_that_may_read(servers: Estate) -> None:
    answer = ask(servers.primary, "full role", "--rows")
    skipped = reasons(answer)
    assert set(skipped) <= {"role", "privilege", "setting"}
    assert skipped.get("privilege", set()) <= BEYOND_MONITORING
    tables = {row["labels"]["relation"]: row for row in answer.checks["table_bloat"]["rows"]}
    assert set(tables) == {"filled"}
    assert tables["filled"]["values"]["bloat_ratio"] == pytest.approx(1 / 3, abs=0.05)
    assert {row["labels"]["index"] for row in answer.checks["index_bloat"]["rows"]} == {"filled_note"}


def test_a_superuser(servers: Estate) -> None:
    answer = ask(servers.primary, "postgres", "--rows")
    skipped = reasons(answer)
    assert set(skipped) <= {"role", "setting"}
    assert skipped["role"] == needing("role", "standby") | {"replication_lag"}


def test_a_role_without_rights(servers: Estate) -> None:
    answer = ask(servers.primary, "plain", "--rows")
    skipped = reasons(answer)
    assert skipped["privilege"] >= {"idle_in_transaction", "long_transaction", "blocked_session", "slow_statement"}
    assert skipped["privilege"] >= {"connections_saturated", "replica_lag", "backup_stale"}
    assert skipped["privilege"] >= needing("privilege") - skipped["role"]
    for name in skipped["privilege"]:
        assert answer.checks[name]["rows"] == [], "what may not be seen has no numbers"
    everything = ask(servers.primary, "postgres", "--rows")
    for name in ("wraparound_risk", "cache_hit_ratio"):
        assert databases(answer.checks[name]) == databases(everything.checks[name])
    ages = {row["labels"]["database"]: row["values"] for row in answer.checks["wraparound_risk"]["rows"]}
    for row in everything.checks["wraparound_risk"]["rows"]:
        for column, value in row["values"].items():
            assert ages[row["labels"]["database"]][column] == pytest.approx(value, abs=50), column


def test_the_grants_that_a_skipped_check_asks_for_are_enough(servers: Estate) -> None:
    servers.add_role("granted")
    for _ in range(3):
        answer = ask(servers.primary, "granted")
        asked = {
            check["remedy"]
            for name, check in answer.checks.items()
            if check["reason"] == "privilege" and name != SUPERUSERS
        }
        for statement in asked:
            servers.primary.sql(statement)
        if not asked:
            break
    assert reasons(answer).get("privilege", set()) <= {SUPERUSERS}


@pytest.mark.parametrize("user", ["dbwatch", "full role", "plain", "postgres"])
def test_a_standby(servers: Estate, user: str) -> None:
    answer = ask(servers.standby, user, "--rows")
    assert answer.target["server"]["role"] == "standby"
    assert reasons(answer)["role"] >= needing("role", "primary")
    assert reasons(answer)["role"] >= {"unused_index", "table_bloat", "index_bloat"}
    if user != "plain":
        assert answer.checks["replication_lag"]["status"] == "ok"
        assert answer.checks["replication_lag"]["rows"]


def test_names_of_any_kind_are_shown_as_they_are(servers: Estate) -> None:
    """Every weird table, grown large enough to be listed, comes back under its own name."""
    for name in estate.WEIRD_TABLES:
        table = identifier(name)
        servers.primary.sql(
            f"INSERT INTO {table} SELECT generate_series(1, 60000) ON CONFLICT DO NOTHING;"
            f"CREATE INDEX IF NOT EXISTS {identifier('i' + name[:50])} ON {table} ({table});"
            f"DELETE FROM {table} WHERE {table} % 2 = 0",
            dbname=estate.SHOP,
        )
        servers.primary.sql(f"VACUUM ANALYZE {table}", dbname=estate.SHOP)
    answer = ask(servers.primary, "full role", "--rows", dbname=estate.SHOP)
    assert {row["labels"]["relation"] for row in answer.checks["table_bloat"]["rows"]} >= set(estate.WEIRD_TABLES)
    assert {row["labels"]["relation"] for row in answer.checks["index_bloat"]["rows"]} >= set(estate.WEIRD_TABLES)
    text = dbwatch("check", servers.primary.url("full role", estate.SHOP), "--rows", "--check", "table_bloat")
    assert text.code == 0
    assert "größe" in text.out
    assert "new\nline" not in text.out


# -- owners of databases who do not wish us well ---------------------------------------------------

HOSTILE = (
    "statement_timeout = '1ms'",
    "lock_timeout = '1ms'",
    "idle_in_transaction_session_timeout = '1ms'",
    "search_path = public, pg_catalog",
    "default_transaction_read_only = off",
    "default_transaction_isolation = 'read committed'",
    "client_min_messages = 'debug5'",
    "extra_float_digits = -15",
    "standard_conforming_strings = off",
    "quote_all_identifiers = on",
    "datestyle = 'German'",
    "intervalstyle = 'postgres_verbose'",
    "timezone = 'Pacific/Chatham'",
    "bytea_output = 'escape'",
    "xmloption = 'document'",
)
TRAPS = """
    CREATE VIEW public.pg_stat_activity AS SELECT 1 / (random() * 0)::int AS pid;
    CREATE VIEW public.pg_database AS SELECT 'trap'::name AS datname;
    CREATE FUNCTION public.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
    CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
    CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
    CREATE FUNCTION public.equal(name, name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
    CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.equal);
"""


@pytest.mark.parametrize("user", ["full role", "postgres"])
def test_a_database_set_up_against_us(pg: Postgres, database: str, user: str) -> None:
    pg.create_monitor_role("full role", grants=("pg_monitor", "pg_read_all_data"))
    pg.sql(TRAPS, dbname=database)
    own = ("transaction_timeout = '20ms'",) if pg.major >= 17 else ()
    for setting in (*HOSTILE, *own):
        pg.sql(f"ALTER DATABASE {database} SET {setting}")
    straight = ask(pg, user, "--rows", leashed=True)
    crooked = ask(pg, user, "--rows", dbname=database, leashed=True)
    assert {name: check["status"] for name, check in crooked.checks.items()} == {
        name: check["status"] for name, check in straight.checks.items()
    }
    ages = [
        check["rows"][0]["values"] for check in (straight.checks["wraparound_risk"], crooked.checks["wraparound_risk"])
    ]
    assert ages[0].keys() == ages[1].keys()


def test_a_role_with_a_tight_leash(pg: Postgres) -> None:
    """The settings that our own script gives to the role, and stricter ones."""
    pg.create_monitor_role("leashed")
    for setting in ("statement_timeout = '5ms'", "default_transaction_read_only = on", "search_path = nosuch"):
        pg.sql(f"ALTER ROLE leashed SET {setting}")
    pg.sql("ALTER ROLE leashed CONNECTION LIMIT 3")
    ask(pg, "leashed", leashed=True)


# -- servers that speak another language -----------------------------------------------------------


@pytest.mark.parametrize(
    ("sqlstate", "text", "reason"),
    [
        ("57P03", "das Datenbanksystem startet gerade", "not_ready"),
        ("57P03", "система баз данных останавливается", "not_ready"),
        ("53300", "tut mir leid, schon zu viele Verbindungen", "too_many_connections"),
        ("3D000", "Datenbank »postgres« existiert nicht", "no_database"),
        ("28000", "kein pg_hba.conf-Eintrag für Host »127.0.0.1«", "auth"),
        ("28P01", 'ユーザー"postgres"のパスワード認証に失敗しました', "auth"),
        ("57P03", "syst\u00e8me de bases de donn\u00e9es en cours de d\u00e9marrage".encode("latin-1"), "not_ready"),
    ],
)
def test_a_refusal_in_another_language(sqlstate: str, text: str | bytes, reason: str) -> None:
    with FakePg(sqlstate, text) as fake:
        answer = dbwatch("check", fake.url(), "--format", "json")
    assert answer.code == 3
    assert answer.target["reason"] == reason
    assert {check["reason"] for name, check in answer.checks.items() if name != "server_unreachable"} == {reason}


def test_a_server_of_another_language(fresh_postgres: FreshPostgres, postgres_majors: tuple[int, ...]) -> None:
    """A real one, where the machine has a locale for it."""
    pg = fresh_postgres(max(postgres_majors))
    try:
        pg.sql("ALTER SYSTEM SET lc_messages = 'de_DE.utf8'")
    except psycopg.errors.InvalidParameterValue:
        pytest.skip("this machine has no German locale")
    pg.reload()
    answer = dbwatch("check", pg.url(dbname="nosuch"), "--format", "json")
    assert answer.target["reason"] == "no_database"
