"""Owners of databases and of roles who do not wish us well: traps in the search path, limits of a millisecond."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbwatch.model import Outcome
from tests.acceptance.whole_answer import ask
from tests.faults.bench import bench, own_check, target_of
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

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
    CREATE DOMAIN public.int8 AS pg_catalog.int8 CHECK (public.trap());
    CREATE DOMAIN public.float8 AS pg_catalog.float8 CHECK (public.trap());
    CREATE DOMAIN public.text AS pg_catalog.text CHECK (public.trap());
    CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.equal);
"""


@pytest.fixture
def hostile(end_pg: Postgres) -> Iterator[str]:
    """The name of a database with every trap."""
    name = end_pg.create_database("hostile")
    end_pg.create_monitor_role("full role", grants=("pg_monitor", "pg_read_all_data"))
    end_pg.sql(TRAPS, dbname=name)
    own = ("transaction_timeout = '20ms'",) if end_pg.major >= 17 else ()
    for setting in (*HOSTILE, *own):
        end_pg.sql(f"ALTER DATABASE {name} SET {setting}")
    yield name
    end_pg.drop_database(name)


@pytest.mark.parametrize("user", ["full role", "postgres"])
def test_row_52_a_database_set_up_against_us(end_pg: Postgres, hostile: str, user: str) -> None:
    straight = ask(end_pg, user, "--rows", leashed=True)
    crooked = ask(end_pg, user, "--rows", dbname=hostile, leashed=True)
    assert {name: check["status"] for name, check in crooked.checks.items()} == {
        name: check["status"] for name, check in straight.checks.items()
    }
    ages = [
        check["rows"][0]["values"] for check in (straight.checks["wraparound_risk"], crooked.checks["wraparound_risk"])
    ]
    assert ages[0].keys() == ages[1].keys()


OURS = {
    "search_path": "pg_catalog",
    "statement_timeout": "9",
    "lock_timeout": "200ms",
    "transaction_read_only": "on",
    "transaction_isolation": "repeatable read",
    "standard_conforming_strings": "on",
    "extra_float_digits": "1",
}


def test_row_52_our_limits_are_in_force(end_pg: Postgres, hostile: str, tmp_path: Path) -> None:
    settings = " union all ".join(f"select '{name} ' || current_setting('{name}') as queue" for name in OURS)
    check = own_check(tmp_path, "limits", f"select queue, 1 as length from ({settings}) as s")
    with bench(target_of(end_pg.url("full role", hostile)), [check]) as site:
        outcome = eventually(lambda: (found := site.look("limits")).answered and found, every=0.2)
    assert isinstance(outcome, Outcome)
    found = dict(row.labels["queue"].split(" ", 1) for row in outcome.rows)
    assert {name: value for name, value in found.items() if not value.strip(chr(34)).startswith(OURS[name])} == {}


def test_row_52_a_role_with_a_tight_leash(end_pg: Postgres) -> None:
    """The settings that our own script gives to the role, and stricter ones."""
    end_pg.create_monitor_role("leashed")
    for setting in ("statement_timeout = '5ms'", "default_transaction_read_only = on", "search_path = nosuch"):
        end_pg.sql(f"ALTER ROLE leashed SET {setting}")
    end_pg.sql("ALTER ROLE leashed CONNECTION LIMIT 3")
    ask(end_pg, "leashed", leashed=True)
