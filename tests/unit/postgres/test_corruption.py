"""What is said of relations that amcheck had no time for, or was refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.corruption import corrupt_table
from dbwatch.model import Engine, Extension, Facts, RawRow, Reason, Role

CHECK = Path(__file__).resolve().parents[3] / "checks" / "postgres" / "corrupt_table.yaml"
FACTS = Facts(
    Engine.POSTGRES,
    (18, 0),
    "18.0",
    Role.PRIMARY,
    "postgresql",
    extensions={"amcheck": Extension("amcheck", "1.5", "x")},
)


class Server:
    """Tables named by what amcheck will answer; each look takes ten seconds."""

    def __init__(self, answers: Sequence[Sequence[RawRow] | Refused], seconds: float) -> None:
        self.answers = answers
        self.left = seconds
        self.limits: list[float] = []

    def fetch(self, sql: str, *, limit: int) -> Sequence[RawRow]:
        if "may_call" in sql:
            return [{"may_use": True, "may_call": True}]
        return [{"oid": oid, "relation": f"t{oid}"} for oid in range(len(self.answers))]

    def attempt(self, sql: str, *, limit: int, seconds: float) -> Sequence[RawRow] | Refused:
        self.limits.append(seconds)
        self.left -= 10
        return self.answers[int(sql.split("(", 1)[1].split("::", 1)[0])]

    def rows(self) -> Sequence[RawRow]:
        target = Target(name="x", engine=Engine.POSTGRES, host="localhost", port=5432)
        check = load_check(CHECK, Engine.POSTGRES)
        return corrupt_table(
            ProbeContext(self.fetch, self.attempt, lambda: self.left, FACTS, check, target, Memory(), None)
        )


def test_the_damaged_come_first_and_the_unknown_before_the_sound() -> None:
    broken = {"blkno": 3, "offnum": 7, "msg": "line pointer is wrong"}
    server = Server(
        [
            [],
            Refused(Reason.LOCK, "55P03", "canceling statement due to lock timeout"),
            [broken, broken],
            Refused(Reason.ERROR, "XX001", "invalid page in block 0"),
            Refused(Reason.ERROR, "XX000", "cache lookup failed"),
        ],
        seconds=100,
    )
    seen = [(row["relation"], row["corrupt"], row["problem"]) for row in server.rows()]
    assert seen == [
        ("t2", True, "block 3, item 7: line pointer is wrong (and 1 more on that page)"),
        ("t3", True, "invalid page in block 0"),
        ("t1", None, "not looked at: canceling statement due to lock timeout"),
        ("t4", None, "not looked at: cache lookup failed"),
        ("t0", False, "sound"),
    ]


def test_what_there_was_no_time_for_is_unknown() -> None:
    server = Server([[], [], [], []], seconds=20)
    assert [(row["relation"], row["corrupt"]) for row in server.rows()] == [
        ("t2", None),
        ("t3", None),
        ("t0", False),
        ("t1", False),
    ]
    assert server.limits == [18, 8]
