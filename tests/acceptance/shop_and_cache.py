"""Owns the smallest world worth watching: a PostgreSQL named shop and a Redis named cache, and how both are configured.

Config texts are put together here for any targets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually

TARGET = "  - {{name: {name}, engine: {engine}, url: '{url}'{more}}}\n"


def target(name: str, url: str, engine: str = "postgres", more: str = "") -> str:
    return TARGET.format(name=name, engine=engine, url=url, more=more)


def config(*targets: str) -> str:
    return f"targets:\n{''.join(targets)}"


@dataclass(frozen=True, slots=True)
class World:
    """`url` is that of the monitor's role on the PostgreSQL."""

    pg: Postgres
    redis: RedisServer
    url: str

    @property
    def text(self) -> str:
        """A config of both."""
        return config(target("shop", self.url), target("cache", self.redis.url(), "redis"))

    def backends(self, application_name: str = "dbwatch") -> set[int]:
        rows = self.pg.sql("SELECT pid FROM pg_stat_activity WHERE application_name = %s", [application_name])
        return {pid for (pid,) in rows}

    def held_by(self, application_name: str) -> int:
        """The one session under this name that stays."""

        def one() -> int:
            both = self.backends(application_name) & self.backends(application_name)
            return min(both) if len(both) == 1 else 0

        return eventually(one, what=f"one session of {application_name}")


@contextmanager
def shop_and_cache() -> Iterator[World]:
    with Postgres(18) as pg, RedisServer("redis-7.0") as redis:
        url = pg.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
        pg.sql("CREATE EXTENSION pg_stat_statements")
        yield World(pg, redis, url)
