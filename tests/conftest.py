"""Fixtures for tests that talk to real servers: shared ones for the session, fresh ones for a test that breaks things.

A shared server is started at its first use, one a worker, and ended with the session; autovacuum stays away. A test
that changes it for others (stops it, alters settings, leaves sessions) takes `fresh_postgres` or `fresh_redis` instead.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any, Protocol

import pytest

from tests.harness.binaries import (
    REDIS_KINDS,
    SUPPORTED_MAJORS,
    MissingError,
    RedisKind,
    find_redis,
)
from tests.harness.binaries import (
    postgres_majors as found_majors,
)
from tests.harness.cluster import UNTOUCHED
from tests.harness.pgbouncer import PgBouncer
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.reaper import reaper
from tests.harness.redis import RedisServer
from tests.harness.requirement import unavailable

pytest_plugins = ["tests.proof.plugin", "tests.faults.plugin"]


class FreshPostgres(Protocol):
    """`fresh_postgres(16, settings={...})`: a server of the test's own, with the arguments of `Postgres`."""

    def __call__(self, major: int, **options: Any) -> Postgres: ...


class FreshRedis(Protocol):
    """`fresh_redis("redis-7.0", config={...})`: a server of the test's own, with the arguments of `RedisServer`."""

    def __call__(self, kind: RedisKind, **options: Any) -> RedisServer: ...


def wanted_majors() -> tuple[int, ...]:
    """The majors that `pg` runs over: DBWATCH_PG_MAJORS (`16,18`), else every supported one."""
    named = os.environ.get("DBWATCH_PG_MAJORS")
    return tuple(int(major) for major in named.split(",")) if named else SUPPORTED_MAJORS


def end_majors() -> tuple[int, ...]:
    """The oldest and the newest, for what is dear and hardly differs between versions; DBWATCH_CASES=all: every one."""
    majors = wanted_majors()
    return majors if os.environ.get("DBWATCH_CASES") == "all" else tuple(sorted({min(majors), max(majors)}))


# -- a missing program -----------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _judged())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    return (yield from _judged())


def _judged() -> Generator[None, object, object]:
    try:
        return (yield)
    except MissingError as error:
        missing = error
    unavailable(missing)  # outside of the except block, so that the report is this one sentence


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    if config.getoption("dist") != "loadscope":
        return None
    from tests.harness.sharing import Sharing

    config.option.loadscopereorder = False
    return Sharing(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        from tests.harness.sharing import place_of

        items.sort(key=lambda item: place_of(item.nodeid))


def pytest_unconfigure() -> None:
    """Whatever a test left running ends here; the guardian does it when pytest itself was killed."""
    reaper.close()


# -- PostgreSQL ------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_majors() -> tuple[int, ...]:
    """The majors wanted and found on this machine."""
    found = found_majors()
    return tuple(major for major in wanted_majors() if major in found)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[int], Postgres]]:
    """`postgres(16)`: the session's shared server of that major."""
    with ExitStack() as running:
        servers: dict[int, Postgres] = {}

        def shared(major: int) -> Postgres:
            if major not in servers:
                servers[major] = running.enter_context(Postgres(major, settings=UNTOUCHED))
            return servers[major]

        yield shared


@pytest.fixture(params=wanted_majors(), ids=lambda major: f"pg{major}")
def pg(request: pytest.FixtureRequest, postgres: Callable[[int], Postgres]) -> Postgres:
    """The shared server of each supported major in turn."""
    return postgres(request.param)


@pytest.fixture(params=end_majors(), ids=lambda major: f"pg{major}")
def end_pg(request: pytest.FixtureRequest, postgres: Callable[[int], Postgres]) -> Postgres:
    """The shared server of each of `end_majors` in turn."""
    return postgres(request.param)


@pytest.fixture(scope="session")
def newest_pg(postgres: Callable[[int], Postgres]) -> Postgres:
    """The shared server of the newest wanted major, for what does not depend on the version."""
    return postgres(max(wanted_majors()))


_numbers = itertools.count(1)


@pytest.fixture
def database(pg: Postgres) -> Iterator[str]:
    """The name of a new database on `pg`, dropped with everybody in it after the test."""
    name = pg.create_database(f"test_{next(_numbers)}")
    yield name
    pg.drop_database(name)


@pytest.fixture
def fresh_postgres() -> Iterator[FreshPostgres]:
    """Start servers that belong to this test alone; they end with it."""
    with ExitStack() as running:

        def start(major: int, **options: Any) -> Postgres:
            return running.enter_context(Postgres(major, **options))

        yield start


@pytest.fixture
def pgbouncer(newest_pg: Postgres) -> Iterator[PgBouncer]:
    """A PgBouncer in transaction mode before the newest shared server."""
    with PgBouncer(newest_pg) as bouncer:
        yield bouncer


# -- Redis -----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_kinds() -> tuple[RedisKind, ...]:
    """The kinds of Redis found on this machine."""
    return tuple(kind for kind in REDIS_KINDS if find_redis(kind))


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[Callable[[RedisKind], RedisServer]]:
    """`shared_redis("redis-7.0")`: the session's shared server of that kind, as the last test left it."""
    with ExitStack() as running:
        servers: dict[RedisKind, RedisServer] = {}

        def shared(kind: RedisKind) -> RedisServer:
            if kind not in servers:
                servers[kind] = running.enter_context(RedisServer(kind))
            return servers[kind]

        yield shared


@pytest.fixture(params=REDIS_KINDS)
def redis_server(request: pytest.FixtureRequest, shared_redis: Callable[[RedisKind], RedisServer]) -> RedisServer:
    """The shared server of each kind in turn, emptied."""
    server = shared_redis(request.param)
    server.command("FLUSHALL")
    return server


@pytest.fixture
def fresh_redis() -> Iterator[FreshRedis]:
    """Start servers that belong to this test alone; they end with it."""
    with ExitStack() as running:

        def start(kind: RedisKind, **options: Any) -> RedisServer:
            return running.enter_context(RedisServer(kind, **options))

        yield start


# -- the way in between ----------------------------------------------------------------------------


@pytest.fixture
def proxy_to() -> Iterator[Callable[[int], Proxy]]:
    """`proxy_to(pg.port)`: a proxy before a server's port, closed after the test."""
    with ExitStack() as running:

        def start(port: int) -> Proxy:
            return running.enter_context(Proxy(port))

        yield start
