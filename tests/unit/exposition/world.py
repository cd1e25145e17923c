"""A small world for the page: check files written and loaded for real, a store, and outcomes said in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.model import Engine, Facts, Finding, Outcome, Reason, Role, Row, Status, worst

_RUNBOOK = "runbook: {meaning: m, impact: i, diagnosis: d, mitigation: t}\n"

UNUSED_INDEX = """
summary: Indexes that no query has used
group: indexes
why: They cost writes.
every: 1h
sql: select 1
columns:
  database: {use: label}
  index: {use: label}
  index_bytes: {use: gauge, metric: dbwatch_pg_unused_index_bytes, help: Size of the index.}
  scans: {use: counter, metric: dbwatch_pg_unused_index_scans_total, help: Scans of the index.}
  age: {use: detail}
levels: {critical: index_bytes > 1GiB, warning: index_bytes > 100MiB}
key: [database, index]
message: "{index} is not used"
fix: "DROP INDEX {index:ident};"
"""

CONNECTIONS = """
summary: Connections near the limit
group: sessions
why: The next client is refused.
cost: cheap
sql: select 1
columns:
  used: {use: gauge, metric: dbwatch_pg_connections_used_ratio, help: Share of the connections in use.}
levels: {warning: used > 80%}
message: "{used:percent} used"
"""

REACHABLE = """
summary: The server cannot be reached
group: availability
why: Nobody can use it.
cost: cheap
probe: connect
columns:
  up: {use: gauge, metric: dbwatch_pg_up, help: Whether a new connection succeeded.}
  phase: {use: detail, type: text}
  reason: {use: detail, type: text}
  message: {use: detail, type: text}
levels: {critical: up < 1}
message: "down"
"""


class Clock:
    """A monotonic clock that moves when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Ticking:
    tick_timestamp_seconds = 1_700_000_000.0


def check_of(folder: Path, name: str, text: str) -> Check:
    path = folder / f"{name}.yaml"
    path.write_text(text + _RUNBOOK)
    return load_check(path, Engine.POSTGRES)


def target_of(name: str = "orders", *, labels: Mapping[str, str] | None = None) -> Target:
    return Target(name, Engine.POSTGRES, host="db.internal", port=5432, labels=labels or {})


def facts(role: Role = Role.PRIMARY) -> Facts:
    return Facts(Engine.POSTGRES, (17, 2), "17.2", role, "postgresql")


def index_row(
    index: str, size: float | None = 1.0, *, database: str = "shop", scans: float = 0.0, status: Status = Status.OK
) -> Row:
    labels = {"database": database, "index": index}
    return Row(labels, {"index_bytes": size, "scans": scans, "age": 5.0}, {}, status, f"{database}.{index}")


def single_row(**values: float | None) -> Row:
    return Row({}, values, {}, key="single")


def answer(
    check: Check,
    *rows: Row,
    target: str = "orders",
    finished: float = 1000.0,
    fix: str | None = None,
    wall: float = 1.7e9,
) -> Outcome:
    """What a run gave; rows with a bad status are findings."""
    findings = [
        Finding(row.key, row.status, f"{row.key} is bad", fix, row.labels, row.values, row.details)
        for row in rows
        if row.status is not Status.OK
    ]
    status = worst(finding.status for finding in findings)
    return Outcome(
        target,
        check.name,
        status,
        findings[0].message if findings else "nothing found",
        rows=rows,
        findings=tuple(findings),
        duration_seconds=0.25,
        database_seconds=0.125,
        finished=finished,
        finished_at_seconds=wall,
    )


def no_answer(
    check: Check,
    status: Status = Status.UNKNOWN,
    reason: Reason = Reason.TIMEOUT,
    *,
    target: str = "orders",
    rows: Sequence[Row] = (),
    finished: float = 1000.0,
    summary: str = "no answer within 10 s",
) -> Outcome:
    return Outcome(
        target,
        check.name,
        status,
        summary,
        reason=reason,
        rows=tuple(rows),
        finished=finished,
        finished_at_seconds=1.7e9,
    )
