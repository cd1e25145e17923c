"""Since when all autovacuum workers are said to be busy: by their own age, and by what every look has found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.autovacuum import autovacuum_saturated
from dbwatch.model import Engine, Facts, RawRow, Role

CHECK = Path(__file__).resolve().parents[3] / "checks" / "postgres" / "autovacuum_saturated.yaml"
FACTS = Facts(Engine.POSTGRES, (18, 0), "18.0", Role.PRIMARY, "postgresql")


class Server:
    """Three workers at most; each look says how many run and how old the youngest is."""

    def __init__(self) -> None:
        self.memory = Memory()

    def busy_seconds(self, now: float, workers: int, youngest_seconds: float | None) -> float:
        def fetch(sql: str, *, limit: int) -> Sequence[RawRow]:
            found = {"workers": float(workers), "most_workers": 3.0, "youngest_seconds": youngest_seconds}
            return [{**found, "longest_task_seconds": None, "rescues": 0.0, "tasks": None, "asked_at": now}]

        def attempt(sql: str, *, limit: int, seconds: float) -> Sequence[RawRow] | Refused:
            raise AssertionError("asks nothing else")

        target = Target(name="x", engine=Engine.POSTGRES, host="localhost", port=5432)
        check = load_check(CHECK, Engine.POSTGRES)
        context = ProbeContext(fetch, attempt, lambda: 9.0, FACTS, check, target, self.memory, None)
        (row,) = autovacuum_saturated(context)
        seconds = row["busy_seconds"]
        assert isinstance(seconds, float)
        return seconds


def test_workers_that_come_and_go_are_busy_for_as_long_as_every_look_finds_all() -> None:
    server = Server()
    assert server.busy_seconds(1000, 3, 5.0) == 5
    assert server.busy_seconds(1060, 3, 2.0) == 65
    assert server.busy_seconds(1120, 2, 1.0) == 0
    assert server.busy_seconds(1180, 3, 1.0) == 1


def test_one_look_knows_the_age_of_the_youngest() -> None:
    assert Server().busy_seconds(1000, 3, 2400.0) == 2400
    assert Server().busy_seconds(1000, 2, 2400.0) == 0
    assert Server().busy_seconds(1000, 0, None) == 0


def test_what_was_seen_long_ago_proves_nothing() -> None:
    server = Server()
    server.busy_seconds(1000, 3, 5.0)
    assert server.busy_seconds(5000, 3, 7.0) == 7
