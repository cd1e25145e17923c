"""A small catalogue of its own for the config tests: the bundled one may change, these checks stay."""

from __future__ import annotations

from pathlib import Path

RUNBOOK = "runbook: {meaning: a, impact: b, diagnosis: c, mitigation: d}\n"
UNUSED = """\
summary: Indexes that no query has used
group: indexes
why: x
sql: select 1
columns:
  index: {use: label}
  index_bytes: {use: gauge, metric: dbwatch_pg_unused_index_bytes, help: Size}
levels: {warning: index_bytes > 100MiB}
key: [index]
message: "{index}"
"""
LAG = """\
summary: The standby is behind
group: replication
why: x
sql: select 1
columns:
  lag_seconds: {use: gauge, metric: dbwatch_pg_lag_seconds, help: Lag}
levels: {critical: lag_seconds > 5min, warning: lag_seconds > 30s}
message: behind
"""
EVICTIONS = """\
summary: Keys are evicted
group: memory
why: x
command: INFO
fields: {evicted: evicted_keys}
columns:
  evicted: {use: counter, metric: dbwatch_redis_evicted_keys_total, help: Evicted}
levels: {warning: rate(evicted) > 0}
message: evicted
"""


def write_catalogue(directory: Path) -> Path:
    for name, text in (
        ("postgres/unused_index", UNUSED),
        ("postgres/replication_lag", LAG),
        ("redis/evictions", EVICTIONS),
    ):
        path = directory / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + RUNBOOK)
    return directory
