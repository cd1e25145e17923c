"""PgBouncer as a target: its own URL, a PostgreSQL one, host and port; always the console."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dbwatch.config import Config, Target
from dbwatch.config.loader import target_from_url
from dbwatch.errors import ConfigError
from dbwatch.model import Engine

Load = Callable[..., Config]


def _place(target: Target) -> tuple[Engine, str, int | None, str, str]:
    return target.engine, target.host, target.port, target.user, target.database


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("pgbouncer://watch@pooler/pgbouncer", "pooler", 6432),
        ("pgbouncer://watch@pooler:7000", "pooler", 7000),
        ("pgbouncer://watch@[::1]/", "::1", 6432),
        ("pgbouncer://watch@%2Frun%2Fpgbouncer/pgbouncer", "/run/pgbouncer", 6432),
        ("pgbouncer://watch@/pgbouncer?host=/run/pgbouncer", "/run/pgbouncer", 6432),
    ],
)
def test_a_url_of_its_own(url: str, host: str, port: int) -> None:
    target = target_from_url(url)
    assert _place(target) == (Engine.PGBOUNCER, host, port, "watch", "pgbouncer")
    assert target.name == "pgbouncer"


@pytest.mark.parametrize(
    ("place", "host", "port"),
    [
        ("url: 'postgresql://watch@pooler:6543/pgbouncer'", "pooler", 6543),
        ("url: 'postgresql://watch@pooler/pgbouncer'", "pooler", 5432),
        ("host: pooler, user: watch", "pooler", 6432),
        ("host: /run/pgbouncer, user: watch, dbname: pgbouncer", "/run/pgbouncer", 6432),
    ],
)
def test_an_entry_of_the_configuration(load: Load, place: str, host: str, port: int) -> None:
    (target,) = load(f"targets:\n  - {{name: pool, engine: pgbouncer, {place}}}\n").targets
    assert _place(target) == (Engine.PGBOUNCER, host, port, "watch", "pgbouncer")


@pytest.mark.parametrize(
    "place", ["url: 'pgbouncer://pooler/shop'", "url: 'postgresql://pooler/shop'", "host: pooler, dbname: shop"]
)
def test_another_database_is_not_the_console(load: Load, place: str) -> None:
    with pytest.raises(ConfigError, match="console"):
        load(f"targets:\n  - {{name: pool, engine: pgbouncer, {place}}}\n")


def test_a_pooler_is_no_postgresql_target(load: Load) -> None:
    with pytest.raises(ConfigError, match="is a PgBouncer URL, the engine is postgres"):
        load("targets:\n  - {name: pool, engine: postgres, url: 'pgbouncer://pooler/pgbouncer'}\n")
