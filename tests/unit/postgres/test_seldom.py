"""A dear question is asked where its sign was found, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from dbwatch.catalogue.loader import load_check
from dbwatch.config.loader import target_from_url
from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import PROBES
from dbwatch.model import Engine, Facts, RawRow, Role
from tests.checks.cases import CHECKS

FACTS = Facts(engine=Engine.POSTGRES, version=(18, 0), version_text="18.0", role=Role.PRIMARY, flavour="postgresql")
NAMES = ("queue_table_churn", "subscription_table_stuck")
TAKING_TABLES = ("queue_table_churn", "vacuum_overdue", "statistics_stale")


def _asked(name: str, *answers: Sequence[RawRow]) -> list[tuple[str, int]]:
    """What the probe asks of a server that gives these answers, and then none; with the limits."""
    asked: list[tuple[str, int]] = []

    def fetch(sql: str, *, limit: int) -> Sequence[RawRow]:
        asked.append((sql, limit))
        if "asked_at" in sql and "oid" not in sql:
            return [{"asked_at": 1.0}]
        return answers[len(asked) - 1] if len(asked) <= len(answers) else []

    def attempt(sql: str, *, limit: int, seconds: float) -> Sequence[RawRow] | Refused:
        raise AssertionError(f"nobody attempts {sql}")

    check = load_check(CHECKS / "postgres" / f"{name}.yaml", Engine.POSTGRES)
    target = target_from_url("postgresql://dbwatch@localhost/shop")
    context = ProbeContext(fetch, attempt, lambda: 5.0, FACTS, check, target, Memory(), None)
    assert list(PROBES[name](context)) == []
    return asked


@pytest.mark.parametrize("name", NAMES)
def test_the_question_follows_its_sign(name: str) -> None:
    ((sign, _),) = _asked(name)
    (again, _), (question, limit) = _asked(name, [{"oid": 16400}])
    assert again == sign
    assert question != sign
    assert limit > 1


@pytest.mark.parametrize("name", sorted({*NAMES} - {*TAKING_TABLES}))
def test_a_sign_is_one_row_and_leaves_none_out(name: str) -> None:
    """More rows than the limit of a question would make the answer of the check a part of it."""
    ((sign, limit),) = _asked(name)
    assert sign.endswith("\nlimit 1")
    assert limit == 1


@pytest.mark.parametrize("name", TAKING_TABLES)
def test_the_tables_that_were_found_are_those_asked_about(name: str) -> None:
    _, (question, _), *_ = _asked(name, [{"oid": 16400}, {"oid": 16402}])
    assert "= any ('{16400,16402}'::pg_catalog.oid[])" in question
