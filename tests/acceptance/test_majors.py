"""Every supported PostgreSQL, as a monitoring role sees it: a whole answer, a quiet log, two connections at most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from tests.acceptance import estate
from tests.acceptance.command import Answer, dbwatch
from tests.acceptance.whole_answer import ARCHIVE, BEYOND_MONITORING, SUPERUSERS, ask, needing
from tests.conftest import FreshPostgres, wanted_majors
from tests.harness.fakepg import FakePg
from tests.harness.postgres import Postgres
from tests.harness.sessions import identifier


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


# -- roles -----------------------------------------------------------------------------------------


def reasons(answer: Answer) -> dict[str, set[str]]:
    """The names of the skipped checks, by reason."""
    found: dict[str, set[str]] = {}
    for name, check in answer.checks.items():
        if check["status"] == "skipped":
            found.setdefault(check["reason"], set()).add(name)
    return found


def databases(check: dict[str, Any]) -> set[str]:
    return {row["labels"]["database"] for row in check["rows"]}


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
