"""The budget of 10,000 tables and 30,000 indexes: a full default pass costs the server less than a second.

Prints the cost of every check, worst first, and writes the numbers to build/scale.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbwatch.logs import configure
from tests.conftest import wanted_majors
from tests.harness.postgres import Postgres
from tests.postgres.scale import ruler, town

TABLES = 10_000
MOST_SECONDS = 1.0
NUMBERS = Path(__file__).parents[2] / "build" / "scale.json"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("major", [min(wanted_majors()), max(wanted_majors())])
@pytest.mark.parametrize("grants", [("pg_monitor",), ("pg_monitor", "pg_read_all_data")], ids=["monitor", "reader"])
def test_a_full_pass(major: int, grants: tuple[str, ...]) -> None:
    configure("error", "auto")
    with Postgres(major, settings=town.SETTINGS) as pg:
        town.build(pg, TABLES)
        pg.create_monitor_role(ruler.ROLE, grants=grants)
        (tables, indexes) = pg.sql(
            "select count(*) filter (where relkind = 'r'), count(*) filter (where relkind = 'i') from pg_class",
            dbname=town.DATABASE,
        )[0]
        assert tables >= TABLES
        assert indexes >= 3 * TABLES
        ruler.measured(pg)  # the first pass reads the catalogs from disk
        costs = ruler.measured(pg)
    print(f"\nPostgreSQL {major}, {tables} tables, {indexes} indexes, as {' + '.join(grants)}\n{ruler.table(costs)}")
    _write(f"{major} {'+'.join(grants)}", costs)
    assert ruler.total_seconds(costs) < MOST_SECONDS


def _write(name: str, costs: list[ruler.Cost]) -> None:
    known = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
    known[name] = {
        "server_seconds": ruler.total_seconds(costs),
        "checks": {cost.check: round(cost.server_seconds, 6) for cost in costs},
    }
    NUMBERS.parent.mkdir(exist_ok=True)
    NUMBERS.write_text(json.dumps(known, indent=2) + "\n")
