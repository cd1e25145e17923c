"""Every bundled check says of real servers what its cases expect: the faults it finds, and the traps it does not."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dbwatch.model import Engine, Outcome, Status
from tests.checks import backup_stage, host_stage, pgbouncer_stage, postgres_stage, redis_stage
from tests.checks.asking import check_for
from tests.checks.cases import (
    BackupCase,
    CaseFile,
    Expect,
    HostCase,
    PgBouncerCase,
    PostgresCase,
    RedisCase,
    all_check_names,
    case_file,
)
from tests.checks.expectation import differences, told
from tests.checks.majors import cases_for
from tests.conftest import wanted_majors
from tests.harness.binaries import PGBOUNCER_KINDS, REDIS_ENDS, REDIS_KINDS, PgBouncerKind, RedisKind
from tests.harness.cluster import UNTOUCHED
from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer
from tests.proof.capture import recorded

FILES = [case_file(engine, name) for engine, name in all_check_names()]
_numbers = itertools.count(1)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.engine}-{file.check}")
def test_every_check_has_cases_that_fire_and_cases_that_do_not(file: CaseFile) -> None:
    assert (file.path.parents[3] / "checks" / file.engine.value / f"{file.check}.yaml").exists(), "cases of no check"
    assert file.error is None, file.error
    assert file.cases
    statuses = {case.expect.status for case in file.cases}
    assert statuses & {Status.WARNING, Status.CRITICAL}, "no case in which the check fires"
    assert Status.OK in statuses, "no case in which the check is silent"


def _cases(
    engine: Engine, kind: type[RedisCase | BackupCase | HostCase | PgBouncerCase]
) -> Iterator[tuple[str, object]]:
    for file in FILES:
        if file.engine is engine:
            for case in file.cases:
                assert isinstance(case, kind)
                yield file.check, case


def _verify(outcome: Outcome, expect: Expect) -> None:
    wrong = differences(expect, outcome)
    assert not wrong, "\n".join([*wrong, "--- the outcome:", told(outcome)])


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


class _Servers:
    def __init__(self, shared: Callable[[int], Postgres], running: ExitStack) -> None:
        self.shared = shared
        self._running = running
        self._pairs: dict[int, tuple[Postgres, Postgres]] = {}

    def pair(self, major: int) -> tuple[Postgres, Postgres]:
        if major not in self._pairs:
            settings = {"wal_retrieve_retry_interval": "100ms", "wal_level": "logical", **UNTOUCHED}
            primary = self._running.enter_context(Postgres(major, settings=settings, name=f"pair{major}"))
            self._pairs[major] = (primary, primary.standby())
        return self._pairs[major]


@pytest.fixture(scope="session")
def case_servers(postgres: Callable[[int], Postgres]) -> Iterator[_Servers]:
    """Shared servers, and a primary with its standby a major for the cases that need one."""
    with ExitStack() as running:
        yield _Servers(postgres, running)


def _cases_of(major: int) -> type:
    """The cases of one major as a class: xdist gives a class to one worker, so that the majors are shared out."""
    chosen = [
        (file.check, case)
        for file in FILES
        if file.engine is Engine.POSTGRES
        for case in cases_for(major, wanted_majors(), [case for case in file.cases if isinstance(case, PostgresCase)])
    ]

    class Cases:
        @pytest.mark.parametrize(
            ("check_name", "case"),
            [pytest.param(name, case, id=f"pg{major}-{name}-{case.name}") for name, case in chosen],
        )
        def test_postgres_case(
            self, check_name: str, case: PostgresCase, case_servers: _Servers, tmp_path: Path
        ) -> None:
            check = check_for(Engine.POSTGRES, check_name, case)
            # A name that wants quotes everywhere: in URLs, SQL, labels and keys.
            database = f'case "{next(_numbers)}"'
            newest = major == max(other for other in wanted_majors() if case.runs_on(other))
            with recorded(Engine.POSTGRES, check_name, case.name, wanted=newest):
                said = postgres_stage.run_case(check, case, major, case_servers, database, tmp_path)
            _verify(*said)

    return Cases


globals().update({f"TestPostgres{major}": _cases_of(major) for major in wanted_majors()})


# -- Redis ------------------------------------------------------------------------------------------------------------


def _runs_on(case: RedisCase, kind: RedisKind) -> bool:
    """Between the ends only what is bound to a version or fires, or every case with DBWATCH_CASES=all."""
    if case.kinds is not None:
        return kind in case.kinds
    fires = case.expect.status in (Status.WARNING, Status.CRITICAL)
    return fires or kind in REDIS_ENDS or os.environ.get("DBWATCH_CASES") == "all"


@pytest.mark.parametrize(
    ("kind", "check_name", "case"),
    [
        pytest.param(kind, name, case, id=f"{kind}-{name}-{case.name}")
        for kind in REDIS_KINDS
        for name, case in _cases(Engine.REDIS, RedisCase)
        if isinstance(case, RedisCase) and _runs_on(case, kind)
    ],
)
def test_redis_case(
    kind: RedisKind,
    check_name: str,
    case: RedisCase,
    shared_redis: Callable[[RedisKind], RedisServer],
    tmp_path: Path,
) -> None:
    check = check_for(Engine.REDIS, check_name, case)
    newest = kind == [other for other in REDIS_KINDS if _runs_on(case, other)][-1]
    with recorded(Engine.REDIS, check_name, case.name, wanted=newest):
        said = redis_stage.run_case(check, case, kind, shared_redis, tmp_path)
    _verify(*said)


# -- backups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check_name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{case.name}")
        for name, case in _cases(Engine.BACKUP, BackupCase)
        if isinstance(case, BackupCase)
    ],
)
def test_backup_case(check_name: str, case: BackupCase, tmp_path: Path) -> None:
    check = check_for(Engine.BACKUP, check_name, case)
    with recorded(Engine.BACKUP, check_name, case.name, wanted=True):
        said = backup_stage.run_case(check, case, tmp_path)
    _verify(*said)


# -- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check_name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{case.name}")
        for name, case in _cases(Engine.HOST, HostCase)
        if isinstance(case, HostCase)
    ],
)
def test_host_case(check_name: str, case: HostCase, tmp_path: Path) -> None:
    check = check_for(Engine.HOST, check_name, case)
    with recorded(Engine.HOST, check_name, case.name, wanted=True):
        said = host_stage.run_case(check, case, tmp_path)
    _verify(*said)


# -- PgBouncer --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pooled_pg() -> Iterator[Postgres]:
    """A server with what the cases go to, which the cases of PostgreSQL must not meet."""
    with Postgres(max(wanted_majors())) as pg:
        pgbouncer_stage.prepare(pg)
        yield pg


@pytest.mark.parametrize(
    ("kind", "check_name", "case"),
    [
        pytest.param(kind, name, case, id=f"{kind}-{name}-{case.name}")
        for kind in PGBOUNCER_KINDS
        for name, case in _cases(Engine.PGBOUNCER, PgBouncerCase)
        if isinstance(case, PgBouncerCase) and (case.kinds is None or kind in case.kinds)
    ],
)
def test_pgbouncer_case(kind: PgBouncerKind, check_name: str, case: PgBouncerCase, pooled_pg: Postgres) -> None:
    check = check_for(Engine.PGBOUNCER, check_name, case)
    newest = kind == [other for other in PGBOUNCER_KINDS if case.kinds is None or other in case.kinds][-1]
    with recorded(Engine.PGBOUNCER, check_name, case.name, wanted=newest):
        said = pgbouncer_stage.run_case(check, case, kind, pooled_pg)
    _verify(*said)
