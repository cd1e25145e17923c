"""Targets with every kind of outcome, made by hand: what the report tests and a person reading it look at."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from dbwatch.catalogue import Check
from dbwatch.catalogue.building import CheckBuilder
from dbwatch.catalogue.file import CheckFile
from dbwatch.config import Target
from dbwatch.model import Engine, Facts, Finding, Outcome, Reason, Role, Row, Status, worst
from dbwatch.store import CheckView, TargetState, TargetView
from dbwatch.strictyaml import read

RUNBOOK = "runbook: {meaning: m, impact: i, diagnosis: d, mitigation: m}\n"

SLOT = """
summary: Replication slots that hold back WAL
group: replication
why: the disk fills up
sql: select 1
columns:
  slot: {use: label}
  retained_bytes: {use: gauge, metric: dbwatch_pg_slot_retained_bytes, help: WAL kept for the slot}
levels: {critical: retained_bytes > 20GiB, warning: retained_bytes > 1GiB}
key: [slot]
message: 'slot "{slot}" keeps {retained_bytes:bytes} and is lost in about 2 h at 5 MiB/s'
fix: "SELECT pg_drop_replication_slot({slot:literal});  -- only if its consumer is gone for good"
"""
UNUSED = """
summary: Indexes that no query has used
group: indexes
why: writes pay for them
cost: lazy
scope: database
sql: select 1
columns:
  database: {use: label}
  schema: {use: label}
  index: {use: label}
  index_bytes: {use: gauge, metric: dbwatch_pg_unused_index_bytes, help: Size}
  idx_scan: {use: counter, metric: dbwatch_pg_unused_index_scans_total, help: Scans}
  defined_as: {use: detail, type: text}
levels: {warning: index_bytes > 100MiB}
key: [database, schema, index]
message: "{schema}.{index} ({index_bytes:bytes}) has had no scan for 41 days"
many: "{count} indexes, {total_index_bytes:bytes}, no scan in 41 days (counters trusted since 2026-10-09)"
fix: "DROP INDEX CONCURRENTLY {schema:ident}.{index:ident};"
"""
IDLE = """
summary: Sessions idle in an open transaction
group: activity
why: vacuum cannot clean up
sql: select 1
columns:
  role: {use: label}
  idle_seconds: {use: gauge, metric: dbwatch_pg_idle_in_transaction_seconds, help: Longest}
  pid: {use: detail}
levels: {critical: idle_seconds > 1h, warning: idle_seconds > 10min}
key: [role]
message: "{role} has been idle in a transaction for {idle_seconds:duration} (pid {pid:text})"
fix: "SELECT pg_terminate_backend({pid:text});"
"""
SLOW = """
summary: Statements that take most of the time
group: statements
why: users wait
requires: {extension: pg_stat_statements}
sql: select 1
columns:
  queryid: {use: label}
  exec_seconds: {use: counter, metric: dbwatch_pg_statement_exec_seconds_total, help: Time}
levels: {warning: rate(exec_seconds) > 0.5}
key: [queryid]
message: "statement {queryid} takes {exec_seconds:duration}"
"""
CACHE = """
summary: Cache hit ratio is low
group: memory
why: the disk is slow
sql: select 1
columns:
  hit_ratio: {use: gauge, metric: dbwatch_pg_cache_hit_ratio, help: Hits}
levels: {warning: hit_ratio < 90%}
message: "only {hit_ratio:percent} of reads come from memory"
"""
REACH = """
summary: The server cannot be reached
group: connection
why: nothing works
probe: connect
columns:
  up: {use: gauge, metric: dbwatch_pg_connect_up, help: Reached}
levels: {critical: up == 0}
message: "no connection"
"""


def check(name: str, text: str, engine: Engine = Engine.POSTGRES) -> Check:
    if engine is Engine.REDIS:
        text = text.replace("dbwatch_pg_", "dbwatch_redis_")
    document = read(text + RUNBOOK, f"checks/{engine}/{name}.yaml")
    builder = CheckBuilder(document, CheckFile.model_validate(document.data), engine, name)
    built = builder.build()
    assert built is not None, builder.problems
    return built


REPLICATION_SLOT = check("replication_slot", SLOT)
UNUSED_INDEX = check("unused_index", UNUSED)
IDLE_IN_TRANSACTION = check("idle_in_transaction", IDLE)
SLOW_STATEMENT = check("slow_statement", SLOW)
CACHE_MISS = check("cache_miss", CACHE)
SERVER_UNREACHABLE = check("server_unreachable", REACH)

ORDERS = Target("orders", Engine.POSTGRES, host="db.internal", port=5432, database="shop", user="dbwatch")
CACHE_TARGET = Target("cache", Engine.REDIS, host="cache", port=6379)


def facts(engine: Engine = Engine.POSTGRES, database: str = "shop") -> Facts:
    postgres = engine is Engine.POSTGRES
    return Facts(
        engine=engine,
        version=(17, 2) if postgres else (7, 0, 15),
        version_text="17.2" if postgres else "7.0.15",
        role=Role.PRIMARY,
        flavour="postgresql" if postgres else "redis",
        database=database if postgres else "",
        databases=("shop",) if postgres else (),
        started_at_seconds=time.time() - 41 * 86_400,
    )


def row(
    check: Check,
    labels: Mapping[str, str],
    values: Mapping[str, float | None],
    status: Status = Status.OK,
    details: Mapping[str, str | None] | None = None,
) -> Row:
    key = ".".join(labels[name] for name in check.key) if check.key else check.name
    return Row(labels, values, details or {}, status, key)


def outcome(check: Check, *rows: Row, target: str = "orders", database_seconds: float = 0.001) -> Outcome:
    """As the verdict would have it, from rows that carry their status."""
    findings = tuple(
        Finding(
            key=r.key,
            status=r.status,
            message=check.message.render({**r.labels, **r.values}),
            fix=check.fix.render_or_none({**r.labels, **r.values}) if check.fix is not None else None,
            labels=r.labels,
            values=r.values,
            details=r.details,
        )
        for r in sorted(rows, key=lambda r: -r.status.severity)
        if r.status is not Status.OK
    )
    summary = findings[0].message if findings else f"nothing found in {len(rows)} rows"
    if len(findings) > 1 and check.many is not None:
        totals = {f"total_{n}": sum(f.values[n] or 0.0 for f in findings) for n in findings[0].values}
        summary = check.many.render({"count": float(len(findings)), **totals})
    elif len(findings) > 1:
        summary += f" (and {len(findings) - 1} more)"
    return Outcome(
        target,
        check.name,
        worst(f.status for f in findings),
        summary,
        rows=rows,
        findings=findings,
        duration_seconds=0.012,
        database_seconds=database_seconds,
        finished=time.monotonic(),
        finished_at_seconds=time.time(),
    )


def failed(
    check: Check, status: Status, reason: Reason, summary: str, remedy: str | None = None, target: str = "orders"
) -> Outcome:
    return Outcome(
        target, check.name, status, summary, reason=reason, remedy=remedy, step="query", finished=time.monotonic()
    )


def timed_out(check: Check) -> Outcome:
    return failed(check, Status.UNKNOWN, Reason.TIMEOUT, "no answer within 10 s at step query; the query was cancelled")


def view(*pairs: tuple[Check, Outcome | None], target: Target = ORDERS, state: TargetState | None = None) -> TargetView:
    state = state or TargetState(up=True, facts=facts(target.engine))
    return TargetView(target, state, tuple(CheckView(check, outcome) for check, outcome in pairs))


def slot(name: str = "debezium", size: float = 38 * 2.0**30, status: Status = Status.CRITICAL) -> Row:
    return row(REPLICATION_SLOT, {"slot": name}, {"retained_bytes": size}, status)


def index(name: str, size: float = 812 * 2.0**20, status: Status = Status.WARNING, database: str = "shop") -> Row:
    labels = {"database": database, "schema": "public", "index": name}
    return row(UNUSED_INDEX, labels, {"index_bytes": size, "idx_scan": 0.0}, status, {"defined_as": "btree (note)"})


def idle(role: str, seconds: float, pid: int, status: Status) -> Row:
    return row(IDLE_IN_TRANSACTION, {"role": role}, {"idle_seconds": seconds, "pid": float(pid)}, status)


def no_extension() -> Outcome:
    return failed(
        SLOW_STATEMENT,
        Status.SKIPPED,
        Reason.EXTENSION,
        "needs the extension pg_stat_statements",
        "CREATE EXTENSION pg_stat_statements;  -- in database shop",
    )


def healthy(*extra: tuple[Check, Outcome | None], target: Target = ORDERS) -> TargetView:
    many = [replace(CACHE_MISS, name=f"check_{number}") for number in range(44)]
    pairs = [(c, outcome(c, row(c, {}, {"hit_ratio": 0.99}), target=target.name)) for c in many]
    return view(*pairs, *extra, target=target)


def troubled() -> TargetView:
    """A critical, two warnings, an unknown, a skipped and many that are fine."""
    return healthy(
        (REPLICATION_SLOT, outcome(REPLICATION_SLOT, slot())),
        (
            UNUSED_INDEX,
            outcome(
                UNUSED_INDEX,
                index("orders_note_idx"),
                index("Weird Ünique", 300 * 2.0**20),
                index("customers_email_lower_idx", 120 * 2.0**20),
            ),
        ),
        (
            IDLE_IN_TRANSACTION,
            outcome(
                IDLE_IN_TRANSACTION,
                idle("batch", 4000, 4242, Status.WARNING),
                idle("web", 700, 17, Status.WARNING),
            ),
        ),
        (
            replace(CACHE_MISS, name="table_bloat"),
            timed_out(replace(CACHE_MISS, name="table_bloat")),
        ),
        (SLOW_STATEMENT, no_extension()),
    )


def unreachable() -> TargetView:
    reach = replace(check("server_unreachable", REACH, Engine.REDIS))
    other = check("evictions", CACHE, Engine.REDIS)
    message = "Connection refused at cache:6379"
    critical = outcome(reach, row(reach, {}, {"up": 0.0}, Status.CRITICAL), target="cache")
    return view(
        (reach, critical),
        (other, failed(other, Status.UNKNOWN, Reason.REFUSED, message, target="cache")),
        target=CACHE_TARGET,
        state=TargetState(up=False, reason=Reason.REFUSED, message=message),
    )
