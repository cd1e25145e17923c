"""How each platform sets what SQL cannot set there; nothing that is loaded already is thrown out."""

from __future__ import annotations

import pytest

from dbwatch.doctor.platforms import Platform, extension_change, preload_change, setting_change

HOSTED = [Platform.RDS, Platform.AURORA, Platform.CLOUDSQL, Platform.AZURE, Platform.SUPABASE, Platform.NEON]


@pytest.mark.parametrize(
    ("loaded", "statement"),
    [
        ("", "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';"),
        ("auto_explain", "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'pg_stat_statements';"),
        (
            'auto_explain, "pg_cron",x ',
            "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'pg_cron', 'x', 'pg_stat_statements';",
        ),
    ],
)
def test_a_library_comes_beside_the_others(loaded: str, statement: str) -> None:
    assert preload_change(Platform.POSTGRESQL, "pg_stat_statements", loaded).statements == (statement,)


@pytest.mark.parametrize("platform", list(Platform))
def test_a_list_that_is_hidden_is_not_overwritten(platform: Platform) -> None:
    change = preload_change(platform, "pg_stat_statements", None)
    assert change.statements == ()
    assert change.instead


@pytest.mark.parametrize("platform", HOSTED)
def test_nobody_else_takes_alter_system(platform: Platform) -> None:
    change = setting_change(platform, "track_io_timing", "on", restart=False)
    assert change.statements == ()
    assert "track_io_timing" in (change.instead or "")
    assert platform.administrator != Platform.POSTGRESQL.administrator


def test_a_reload_follows_only_where_it_helps() -> None:
    now = setting_change(Platform.POSTGRESQL, "track_io_timing", "on", restart=False).statements
    assert now == ("ALTER SYSTEM SET track_io_timing = 'on';", "SELECT pg_reload_conf();")
    later = setting_change(Platform.POSTGRESQL, "pg_stat_statements.max", "10", restart=True).statements
    assert later == ("ALTER SYSTEM SET pg_stat_statements.max = '10';",)


def test_azure_has_a_list_of_allowed_extensions() -> None:
    assert "azure.extensions" in (extension_change(Platform.AZURE, "pg_stat_statements").instead or "")
    assert extension_change(Platform.RDS, "pg_stat_statements").instead is None


def test_an_unknown_flavour_is_somebodys_own_server() -> None:
    assert Platform.of("greenplum") is Platform.POSTGRESQL
    assert Platform.of("aurora") is Platform.AURORA
