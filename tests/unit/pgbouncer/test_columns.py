"""What checks read off the answers of each version: by the names of columns, whatever else has come or gone."""

from __future__ import annotations

import pytest

from dbwatch.bundled import bundled
from dbwatch.config.target import Machine
from dbwatch.engines.pgbouncer.facts import facts_of
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import Reason
from tests.unit.pgbouncer.answers import RECORDED, TARGET, VERSIONS, Console, check, measured

NAMES = sorted(
    path.stem for path in (bundled("checks") / "pgbouncer").glob("*.yaml") if path.stem != "pgbouncer_unreachable"
)


LATER = {("pgbouncer_role_connections_saturated", "1.18")}
"""What a version cannot tell yet."""


@pytest.mark.parametrize(
    ("name", "version"), [(name, version) for name in NAMES for version in VERSIONS if (name, version) not in LATER]
)
def test_every_check_reads_every_version_with_columns_of_later_ones(name: str, version: str) -> None:
    console = Console(version)
    for command in console.answers:
        console.add(command, "of_a_later_release", "unknown")
    rows = measured(name, console, machine=Machine(None, 4.0))
    assert rows
    assert all(row.get("database", "postgres") == "postgres" for row in rows), "the console is no database"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_pool_is_joined_with_its_database_under_the_old_name_and_the_new(version: str) -> None:
    old, new = "reserve_pool", "reserve_pool_size"
    console = Console(version)
    named = old if old in RECORDED[version]["SHOW DATABASES"]["columns"] else new
    console.change("SHOW DATABASES", named, 3, where=("name", "postgres")).change("SHOW POOLS", "sv_active", 18)
    (row,) = measured("pgbouncer_pool_saturated", console)
    assert (row["busy"], row["size"], row["reserve"], row["idle"]) == (18, 20, 3, 1)


def test_the_oldest_and_the_newest_differ_in_what_was_recorded() -> None:
    assert [named for named in VERSIONS if "reserve_pool" in RECORDED[named]["SHOW DATABASES"]["columns"]] == ["1.18"]
    assert [named for named in VERSIONS if "SHOW STATE" not in RECORDED[named]] == ["1.18"]


@pytest.mark.parametrize(
    ("name", "command", "column"),
    [
        ("pgbouncer_clients_waiting", "SHOW POOLS", "maxwait_us"),
        ("pgbouncer_pool_saturated", "SHOW DATABASES", "pool_size"),
        ("pgbouncer_database_paused", "SHOW DATABASES", "disabled"),
        ("pgbouncer_database_connections_saturated", "SHOW DATABASES", "max_connections"),
        ("pgbouncer_wait_time_high", "SHOW STATS_TOTALS", "wait_time"),
        ("pgbouncer_clients_saturated", "SHOW LISTS", "items"),
        ("pgbouncer_role_connections_saturated", "SHOW USERS", "current_connections"),
    ],
)
def test_a_column_that_is_not_there_is_no_zero(name: str, command: str, column: str) -> None:
    with pytest.raises(Skipped, match=f"{command} of this PgBouncer has no column .*{column}") as caught:
        measured(name, Console("1.26").drop(command, column))
    assert caught.value.reason is Reason.VERSION


def test_a_column_that_is_no_number_is_an_error_of_the_check() -> None:
    with pytest.raises(CheckError, match="sv_active is 'many'") as caught:
        measured("pgbouncer_pool_saturated", Console("1.26").change("SHOW POOLS", "sv_active", "many"))
    assert caught.value.reason is Reason.BAD_RESULT


def test_limits_of_zero_are_no_limits() -> None:
    console = Console("1.26").change("SHOW DATABASES", "pool_size", 0).change("SHOW POOLS", "sv_active", 99)
    console.change("SHOW CONFIG", "value", "0", where=("key", "query_wait_timeout"))
    (pool,) = measured("pgbouncer_pool_saturated", console)
    assert pool["size"] is None
    (waiting,) = measured("pgbouncer_clients_waiting", console)
    assert waiting["patience_seconds"] is None
    (database,) = measured("pgbouncer_database_connections_saturated", console)
    assert database["max_connections"] == 0


@pytest.mark.parametrize(("version", "size"), [("1.24", 20), ("1.26", 7)])
def test_the_size_of_a_user_goes_first_where_the_column_can_be_believed(version: str, size: int) -> None:
    console = Console(version).change("SHOW USERS", "pool_size", "7", where=("name", "postgres"))
    assert [row["size"] for row in measured("pgbouncer_pool_saturated", console)] == [size]


@pytest.mark.parametrize(("version", "paused"), [("1.18", 0.0), ("1.24", 1.0), ("1.26", 1.0)])
def test_a_pause_of_everything_shows_where_there_is_a_state(version: str, paused: float) -> None:
    console = Console(version)
    if version != "1.18":
        console.change("SHOW STATE", "value", "yes", where=("key", "paused"))
    (row,) = measured("pgbouncer_database_paused", console)
    assert (row["paused"], row["remedy"]) == (paused, "RESUME;" if paused else "")


def test_clients_that_a_pause_of_everything_holds_are_not_without_a_server() -> None:
    console = Console("1.26").change("SHOW POOLS", "sv_idle", 0).change("SHOW POOLS", "cl_waiting", 1)
    console.change("SHOW POOLS", "maxwait", 7)
    assert [row["stranded_seconds"] for row in measured("pgbouncer_pool_without_server", console)] == [7.0]
    console.change("SHOW STATE", "value", "yes", where=("key", "paused"))
    assert [row["stranded_seconds"] for row in measured("pgbouncer_pool_without_server", console)] == [0.0]
    assert [row["held_clients"] for row in measured("pgbouncer_database_paused", console)] == [1.0]


def test_names_in_a_remedy_are_quoted() -> None:
    console = Console("1.26").change("SHOW DATABASES", "disabled", 1).change("SHOW DATABASES", "paused", 1)
    console.change("SHOW DATABASES", "name", 'a"; SHUTDOWN; "', where=("name", "postgres"))
    (row,) = measured("pgbouncer_database_paused", console)
    assert row["remedy"] == 'RESUME "a""; SHUTDOWN; """; ENABLE "a""; SHUTDOWN; """;'


def test_times_are_seconds() -> None:
    console = Console("1.18").change("SHOW STATS_TOTALS", "wait_time", 2_500_000.0)
    (row,) = measured("pgbouncer_wait_time_high", console)
    assert row["wait_seconds"] == pytest.approx(2.5)


def test_databases_that_the_configuration_leaves_out_are_left_out() -> None:
    for name in ("pgbouncer_pool_saturated", "pgbouncer_wait_time_high", "pgbouncer_database_paused"):
        assert measured(name, Console("1.26"), exclude_databases=("post*",)) == ()


def test_what_answers_like_a_database_is_no_console() -> None:
    console = Console("1.26").change("SHOW VERSION", "version", "PostgreSQL 18.4")
    with pytest.raises(CheckError, match="is not the console of PgBouncer"):
        facts_of(console.show("SHOW VERSION"), None, TARGET)


@pytest.mark.parametrize(
    ("told", "version"),
    [("PgBouncer 1.18.0", (1, 18, 0)), ("PgBouncer 1.27.0rc1", (1, 27, 0)), ("PgBouncer 1.9", (1, 9))],
)
def test_the_version_is_read(told: str, version: tuple[int, ...]) -> None:
    console = Console("1.26").change("SHOW VERSION", "version", told)
    assert facts_of(console.show("SHOW VERSION"), None, TARGET).version == version


def test_no_level_needs_what_a_look_cannot_know() -> None:
    assert {name for name in NAMES if check(name).sampled} == {"pgbouncer_wait_time_high"}


def test_of_more_rows_than_a_check_takes_the_largest_are_first() -> None:
    """The console sorts by name, and the role that has used its cap up may have the last one."""
    console = Console(VERSIONS[-1])
    columns, rows = console.answers["SHOW USERS"]
    for number in range(600):
        row = dict(zip(columns, rows[0], strict=True)) | {"name": f"role{number:03}", "max_user_connections": 5}
        rows.append([*(row | {"current_connections": 5 if number == 599 else 1}).values()])
    assert measured("pgbouncer_role_connections_saturated", console)[0]["role"] == "role599"
