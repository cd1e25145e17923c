"""Which pgaudit.log counts as a log of schema changes: judged by the check's own query on a real server.

pgaudit is not among our servers, so its place in shared_preload_libraries is claimed; its setting is a real one.
"""

from __future__ import annotations

from typing import cast

import psycopg
import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue.loader import load_check
from dbwatch.model import Engine
from tests.harness.postgres import Postgres

_PRELOADED = "pg_catalog.current_setting('shared_preload_libraries')"


def _missing(session: psycopg.Connection[tuple[object, ...]], preloaded: str) -> bool:
    sql = load_check(bundled("checks") / "postgres" / "audit_logging_off.yaml", Engine.POSTGRES).sql_for((18,))
    assert sql is not None
    assert _PRELOADED in sql
    with session.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        rows = cursor.execute(sql.replace(_PRELOADED, f"'{preloaded}'").encode()).fetchall()
    return bool(cast("dict[str, object]", {row["setting"]: row["missing"] for row in rows})["log_statement"])


def test_pgaudit_counts_by_the_last_word_on_ddl(newest_pg: Postgres) -> None:
    logged = ("ddl", "all", "ALL", "read, DDL", "write,ddl,role", "-ddl, all", "-all, ddl", "all, -misc", '"ddl"')
    silent = (
        "none",
        "",
        "write",
        "role",
        "read, write",
        "all, -ddl",
        "ddl, -all",
        "-ddl",
        "misc_set",
        "all,-DDL,write",
    )
    with newest_pg.connect() as session:
        session.execute("set log_statement = 'none'")
        assert _missing(session, "pgaudit"), "without the setting"
        judged: dict[str, bool] = {}
        for value in (*logged, *silent):
            session.execute("select set_config('pgaudit.log', %s, false)", [value])
            judged[value] = not _missing(session, "pg_stat_statements, pgaudit")
        assert judged == dict.fromkeys(logged, True) | dict.fromkeys(silent, False)
        session.execute("set pgaudit.log = 'ddl'")
        assert _missing(session, "pg_stat_statements"), "a setting of a library that is not loaded"


@pytest.mark.parametrize("statement", ["ddl", "mod", "all"])
def test_so_does_log_statement(newest_pg: Postgres, statement: str) -> None:
    with newest_pg.connect() as session:
        session.execute("select set_config('log_statement', %s, false)", [statement])
        assert not _missing(session, "")
