"""Rows 29 to 34: names and numbers that no page was made for. One server and one daemon for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dbwatch.exposition.labels import LONGEST
from dbwatch.exposition.labels import clean as cleaned
from dbwatch.exposition.samples import MOST_SERIES_OF_CHECK, MOST_SERIES_OF_TARGET
from tests.acceptance.command import dbwatch
from tests.conftest import wanted_majors
from tests.harness.cluster import SAFE
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.harness.promtool import check_metrics
from tests.harness.sessions import identifier
from tests.harness.waiting import eventually

NAMES = (
    'we"ird',
    "it's",
    "new\nline\r\ttab",
    "back\\slash\\n",
    "{relation} {} {0} {x:ident}",
    "🐘 größe",
    "ש\u202eלום\u200f",
    "x" * 63,
    "é" * 31,
    "'; DROP TABLE t; --",
    "<script>alert(1)</script>",
    "$(id) %s %(name)s ${HOME}",
    "\x1b[31mred",
)
CAPPED = 1000
ASCII = "ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
LATIN = "ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
BIG = b"AS SELECT generate_series(1, 60000) AS id"

CHECK = """\
summary: What a test wants
group: tests
why: A test wants it.
every: 15s
timeout: 10s
scope: {scope}
sql: {sql}
columns:
  name: {{use: label}}
  number: {{use: {use}, metric: dbwatch_pg_{check}_number{suffix}, help: A number.}}
limit: {limit}
levels: {{warning: {level}}}
key: [name]
message: "{{name}} is {{number}}"
fix: "DROP TABLE {{name:ident}};"
runbook: {{meaning: m, impact: i, diagnosis: d, mitigation: m}}
"""
TABLES = (
    "select c.relname::text as name, 1 as number from pg_catalog.pg_class as c"
    " where c.relkind = 'r' and c.relnamespace = 'public'::pg_catalog.regnamespace"
)
HUGE = "pg_catalog.repeat('9', 1000)::numeric"
# What a check returns, and what is then said: the number on the page, None for no sample, or a reason.
NUMBERS: dict[str, tuple[str, str, float | str | None]] = {
    "null": ("null::int", "gauge", None),
    "integer": ("9223372036854775807", "gauge", 2.0**63),
    "decimal": ("0.1::numeric", "gauge", 0.1),
    "true": ("true", "gauge", 1.0),
    "tiny": ("5e-324::float8", "gauge", 5e-324),
    "nan": ("'NaN'::float8", "gauge", "bad_result"),
    "infinite": ("'-Infinity'::float8", "gauge", "bad_result"),
    "nan_numeric": ("'NaN'::numeric", "gauge", "bad_result"),
    "huge": (HUGE, "gauge", "bad_result"),
    "negative": ("-1", "counter", "bad_result"),
    "text": ("'1'::text", "gauge", "bad_result"),
    "moment": ("pg_catalog.now()", "gauge", "bad_result"),
    "forever": ("'infinity'::timestamptz", "gauge", "bad_result"),
    "old": ("'4713-01-01 BC'::timestamptz", "gauge", "bad_result"),
    "list": ("array[1, 2]", "gauge", "bad_result"),
    "bytes": (r"'\x00ff'::bytea", "gauge", "bad_result"),
    "divided": ("1 / (pg_catalog.random() * 0)::int", "gauge", "error"),
}


def check_files(folder: Path) -> list[str]:
    """The checks of this module as files; their names."""
    texts = {
        "named": CHECK.format(
            check="named", scope="database", sql=TABLES, use="gauge", suffix="", limit=100, level="number > 0"
        ),
        "twice": CHECK.format(
            check="twice",
            scope="instance",
            sql="select 'same' as name, n as number from (values (1), (2)) as v (n)",
            use="gauge",
            suffix="",
            limit=10,
            level="number > 0",
        ),
        "flood": CHECK.format(
            check="flood",
            scope="instance",
            sql="select 'row ' || g as name, g as number from pg_catalog.generate_series(1, 50000) as g",
            use="gauge",
            suffix="",
            limit=CAPPED,
            level="number > 0",
        ),
    }
    for name, (value, use, _) in NUMBERS.items():
        suffix = "_total" if use == "counter" else ""
        sql = f"'select ''here'' as name, {value.replace(chr(39), chr(39) * 2)} as number'"
        level = "delta(number) > 0" if use == "counter" else "number > 0"
        texts[name] = CHECK.format(check=name, scope="instance", sql=sql, use=use, suffix=suffix, limit=10, level=level)
    texts["named"] = texts["named"].replace(f"sql: {TABLES}", f'sql: "{TABLES}"')
    (folder / "postgres").mkdir()
    for name, text in texts.items():
        (folder / "postgres" / f"hostile_{name}.yaml").write_text(text)
    return [f"hostile_{name}" for name in texts]


@dataclass(frozen=True, slots=True)
class World:
    pg: Postgres
    daemon: Daemon
    url: str

    def check(self, name: str) -> dict[str, Any]:
        (target,) = self.daemon.status()["targets"]
        return next((check for check in target["checks"] if check["check"] == name), {})

    def labels(self, family: str, label: str) -> set[str]:
        """What Prometheus' own parser reads from the page."""
        families = text_string_to_metric_families(self.daemon.metrics())
        return {sample.labels[label] for each in families for sample in each.samples if sample.name == family}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hostile")
    enabled = [*check_files(folder), "table_bloat", "idle_in_transaction", "blocked_session"]
    with ExitStack() as running:
        pg = running.enter_context(Postgres(max(wanted_majors()), settings=SAFE))
        url = pg.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
        for name in NAMES:
            pg.sql(f"CREATE TABLE {identifier(name).replace('%', '%%')} (id int)", [])
        pg.create_database("ascii", options=ASCII)
        pg.create_database("latin", options=LATIN)
        with pg.connect(dbname="ascii", client_encoding="SQL_ASCII") as session:
            session.execute(b'CREATE TABLE "caf\xe9" ' + BIG)
            session.execute(b'ANALYZE "caf\xe9"')
        with pg.connect(dbname="latin", client_encoding="UTF8") as session:
            session.execute('CREATE TABLE "café" '.encode() + BIG)
            session.execute(b"ANALYZE")
        seconds = ", ".join(f"{name}: 1s" for name in ("idle_in_transaction", "blocked_session"))
        text = (
            f"checks_dir: {folder}\n"
            f"defaults: {{profile: minimal, checks: {{enable: [{', '.join(enabled)}]}}, intervals: {{{seconds}}}}}\n"
            f"targets:\n  - {{name: shop, engine: postgres, url: '{url}'}}\n"
        )
        daemon = running.enter_context(Daemon(config_text=text))
        daemon.wait_ready()
        yield World(pg, daemon, url)


def clean(daemon: Daemon) -> bool:
    """The page is served and valid, the person's page too, and nothing of it is a crash."""
    assert check_metrics(daemon.metrics()) == ""
    assert daemon.get("/").status_code == 200
    assert not [line for line in daemon.log_lines() if "Traceback" in line]
    return True


# -- rows 29 to 31: names --------------------------------------------------------------------------


def test_row_29_names_that_are_no_text_are_escaped(world: World) -> None:
    tables = world.labels("dbwatch_pg_table_bytes", "relation") | world.labels(
        "dbwatch_pg_table_bloat_bytes", "relation"
    )
    assert {"caf\\xe9", "café"} <= tables
    assert {"caf\\xe9", "café"} <= world.labels("dbwatch_pg_named_number", "name")
    assert clean(world.daemon)


def test_row_29_a_session_in_such_a_database_sees_the_same(world: World) -> None:
    url, mark = world.pg.url("dbwatch", "ascii"), world.pg.log_mark()
    answer = dbwatch("check", url, "--format", "json", "--rows", "--sample", "0")
    assert answer.code in (0, 1), answer
    tables = {(row["labels"]["database"], row["labels"]["relation"]) for row in answer.checks["table_bloat"]["rows"]}
    assert tables >= {("latin", "café"), ("ascii", "caf\\xe9")}
    for output_format in ("text", "prometheus", "nagios"):
        said = dbwatch("check", url, "--rows", "--format", output_format, "--check", "table_bloat", "--sample", "0")
        assert said.code in (0, 1), said
        assert said.err == ""
    assert not [line for line in world.pg.log_lines_since(mark) if "ERROR:" in line and "division by zero" not in line]


def test_row_30_a_query_of_another_session_that_is_no_text(world: World) -> None:
    with ExitStack() as sessions:
        for name in ("holder", "wa\xeft"):
            session = world.pg.connect(dbname="ascii", client_encoding="SQL_ASCII", application_name=name)
            sessions.callback(session.close)
            if name == "holder":
                session.execute(b"BEGIN")
                session.execute(b"LOCK TABLE \"caf\xe9\"; SELECT '\xff\xfe'")
            else:
                session.pgconn.send_query(b"SELECT '\xe9' FROM \"caf\xe9\"")
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        eventually(lambda: world.pg.sql(waiting), what="a session waits")
        asked = ("--check", "blocked_session", "--check", "idle_in_transaction")
        answer = dbwatch("check", world.url, "--format", "json", "--rows", *asked)
        assert answer.code in (0, 1), answer
        assert answer.checks["blocked_session"]["rows"]
        assert answer.checks["idle_in_transaction"]["rows"]
        assert {world.check(name)["reason"] for name in ("blocked_session", "idle_in_transaction")} == {None}
        assert clean(world.daemon)


def test_row_31_names_come_back_as_they_were(world: World) -> None:
    exotic = {name for name in NAMES if not name.isprintable()}
    shown = world.labels("dbwatch_pg_named_number", "name")
    assert set(NAMES) - exotic <= shown
    assert {"new\\nline\\r\\ttab", "\\x1b[31mred"} <= shown, "what would move a terminal's cursor is spelled out"
    check = world.check("hostile_named")
    found = {finding["labels"]["name"]: finding for finding in check["findings"]}
    assert set(NAMES) <= set(found), "JSON has a spelling for everything"
    for name in set(NAMES) - exotic:
        assert found[name]["message"].startswith(f"{name} is 1")
        assert found[name]["fix"] is not None
    page = world.daemon.get("/").text
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\x1b" not in page
    assert clean(world.daemon)


def test_row_31_the_fix_of_a_hostile_name_does_what_it_says(world: World) -> None:
    """The statement that is shown to be pasted drops that table, and nothing else."""
    fixes = {finding["labels"]["name"]: finding["fix"] for finding in world.check("hostile_named")["findings"]}
    for name in NAMES:
        if fixes[name] is None:
            continue
        with world.pg.connect() as session:
            session.execute(b"BEGIN")
            session.execute(fixes[name].encode())
            rows = session.execute(
                b"SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 2200"
            ).fetchall()
            assert set(NAMES) - {row[0] for row in rows} == {name}
            session.execute(b"ROLLBACK")
    assert fixes["'; DROP TABLE t; --"] == 'DROP TABLE "\'; DROP TABLE t; --";'


# -- rows 32 to 34: results ------------------------------------------------------------------------


def test_row_32_the_same_key_twice_is_an_error_of_that_check_alone(world: World) -> None:
    check = world.check("hostile_twice")
    assert (check["status"], check["reason"]) == ("unknown", "bad_result")
    assert "two rows have the key 'same'" in check["summary"]
    assert "dbwatch_pg_twice_number{" not in world.daemon.metrics()
    assert world.check("server_unreachable")["status"] == "ok"
    assert clean(world.daemon)


@pytest.mark.parametrize("name", NUMBERS)
def test_row_33_numbers_are_what_the_contract_says(world: World, name: str) -> None:
    expected = NUMBERS[name][2]
    check = world.check(f"hostile_{name}")
    page = world.daemon.metrics()
    line = next((line for line in page.splitlines() if line.startswith(f"dbwatch_pg_{name}_number{{")), None)
    if isinstance(expected, str):
        assert (check["status"], check["reason"]) == ("unknown", expected), check
        assert line is None
    else:
        assert check["status"] in ("ok", "warning"), check
        assert (None if line is None else float(line.rpartition(" ")[2])) == expected
    assert "Traceback" not in "".join(world.daemon.log_lines())


def test_row_34_a_flood_of_rows_is_cut_by_the_server_and_counted(world: World) -> None:
    page = world.daemon.metrics()
    series = [line for line in page.splitlines() if line.startswith("dbwatch_pg_flood_number{")]
    assert len(series) == CAPPED <= MOST_SERIES_OF_CHECK
    assert len([line for line in page.splitlines() if line.startswith("dbwatch_pg_")]) <= MOST_SERIES_OF_TARGET
    dropped = next(
        line
        for line in page.splitlines()
        if line.startswith("dbwatch_series_dropped_total{") and 'check="hostile_flood"' in line
    )
    assert float(dropped.rpartition(" ")[2]) >= 1
    assert clean(world.daemon)


def test_found_a_label_of_a_kilobyte() -> None:
    """A check returns labels of a kilobyte that differ at their end only. They are cut with a hash, and stay apart."""
    one, other = (cleaned("x" * 1000 + end) for end in "ab")
    assert len(one) == len(other) == LONGEST
    assert one != other
