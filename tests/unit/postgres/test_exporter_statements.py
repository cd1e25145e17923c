"""The collector of statements shows the server's own counters, and shares what the checks had the server read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import Check
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.catalogue.families import Exporter
from dbwatch.catalogue.loader import load_check
from dbwatch.config.loader import target_from_url
from dbwatch.engines.libpq.errors import Refused
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes import PROBES
from dbwatch.model import Engine, Extension, Facts, RawRow, Role
from tests.checks.cases import CHECKS

EVICTIONS = load_check(CHECKS / "postgres" / "statement_evictions.yaml", Engine.POSTGRES)
COLLECTOR = load_collectors([bundled("checks")]).checks[Exporter.POSTGRES, "stat_statements"]
COLUMNS = frozenset({"total_exec_time", "stddev_exec_time", "toplevel", "dealloc", "shared_blk_read_time"})
EXTENSION = Extension("pg_stat_statements", "1.12", "public", COLUMNS)
FACTS = Facts(
    engine=Engine.POSTGRES,
    version=(18, 0),
    version_text="18.0",
    role=Role.PRIMARY,
    flavour="postgresql",
    extensions={EXTENSION.name: EXTENSION},
)


class Server:
    """Has these entries; `readings` is how often they were asked for."""

    def __init__(self, *entries: RawRow) -> None:
        self.entries = entries
        self.readings = 0
        self.memory = Memory()

    def fetch(self, sql: str, *, limit: int) -> Sequence[RawRow]:
        if "pg_stat_statements(false)" in sql:
            self.readings += 1
            return self.entries[:limit]
        if "e.extname = 'pg_stat_statements'" in sql:
            return [{"version": EXTENSION.version, "schema": EXTENSION.schema}]
        if "server_seconds" in sql:
            return [{"server_seconds": 1.0, "started_at": 0.0, "reset_at": 0.0, "deallocations": 0.0}]
        if "as kind" in sql:
            return [{"kind": "database", "oid": 5, "name": "shop"}, {"kind": "role", "oid": 10, "name": "app"}]
        return []

    def attempt(self, sql: str, *, limit: int, seconds: float) -> Sequence[RawRow] | Refused:
        raise AssertionError(f"nobody attempts {sql}")

    def ask(self, check: Check) -> Sequence[RawRow]:
        target = target_from_url("postgresql://dbwatch@localhost/shop")
        context = ProbeContext(self.fetch, self.attempt, lambda: 5.0, FACTS, check, target, self.memory, None)
        return PROBES[check.probe or ""](context)


def _entry(queryid: int, milliseconds: float, *, userid: int = 10, dbid: int = 5, toplevel: bool = True) -> RawRow:
    told = dict.fromkeys(("squares", "shared_hit", "shared_read", "shared_written", "temp_read", "temp_written"), 0)
    return {
        **told,
        "userid": userid,
        "dbid": dbid,
        "queryid": queryid,
        "calls": 2,
        "rows": 3,
        "exec_seconds": milliseconds,
        "io_seconds": 900.0,
        "block_read_time": 500.0,
        "block_write_time": 250.0,
        "toplevel": toplevel,
        "since": None,
    }


def test_the_dearest_come_first_and_those_inside_of_functions_are_added() -> None:
    server = Server(
        _entry(1, 1000.0), _entry(2, 900.0), _entry(2, 600.0, toplevel=False), _entry(3, 1.0, userid=99, dbid=98)
    )
    dearest, second, last = server.ask(COLLECTOR)
    assert dearest == {
        "user": "app",
        "datname": "shop",
        "queryid": "2",
        "calls": 4,
        "seconds": 1.5,
        "rows": 6,
        "block_read_seconds": 1.0,
        "block_write_seconds": 0.5,
    }
    assert second["queryid"] == "1"
    assert (last["user"], last["datname"]) == ("unknown (OID=99)", "98"), "as the server names what is gone"
    only_one = replace(COLLECTOR, limit=1)
    asked = server.ask(only_one)
    assert [row["queryid"] for row in asked] == ["2", "1"], "the session cuts it to one, and says that there were more"


def test_one_reading_is_enough_for_the_collector_and_the_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    server = Server(_entry(1, 1000.0))
    server.ask(COLLECTOR)
    assert server.readings == 1, "it works alone"
    now[0] += 25
    server.ask(EVICTIONS)
    server.ask(COLLECTOR)
    assert server.readings == 1
    server.ask(EVICTIONS)
    assert server.readings == 2, "a check that has seen it wants another"
    now[0] += 31
    server.entries = (_entry(1, 10.0),)
    (row,) = server.ask(COLLECTOR)
    assert (server.readings, row["seconds"]) == (3, 0.01), "after a reset it shows what the server shows"
