"""What a watched machine tells its servers: in one run of `dbwatch check`, and when it is silent, old or limited."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dbwatch.adhoc import Result, Selection, run_once
from dbwatch.catalogue.loader import load_check
from dbwatch.config import HostPlace, Target, load_config
from dbwatch.deadline import Deadline
from dbwatch.engines.host.adapter import HostAdapter
from dbwatch.engines.hosts import BELIEVED_SECONDS, Hosts, HostTold, VolumeSpace
from dbwatch.engines.memory import Memory
from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.probes.memory_settings import memory_setting
from dbwatch.engines.postgres.probes.sessions import excess_active_sessions
from dbwatch.errors import Skipped
from dbwatch.model import Engine, Facts, Outcome, RawRow, Role, Status
from tests.checks.cases import CHECKS
from tests.checks.host_stage import GROUP_FILES, HEALTHY, healthy_machine
from tests.conftest import wanted_majors
from tests.harness.postgres import Postgres

GIB = 2.0**30
WAL = VolumeSpace("/wal", 100.0, 40.0)


def test_one_run_holds_a_slot_against_the_room_on_the_volume(
    postgres: Callable[[int], Postgres], tmp_path: Path
) -> None:
    server = postgres(max(wanted_majors()))
    targets = [
        {"name": "orders", "engine": "postgres", "url": server.url("postgres")},
        {"name": "box", "engine": "host", "volumes": {"data": str(tmp_path)}, "of": "orders"},
    ]
    path = tmp_path / "dbwatch.yaml"
    path.write_text(json.dumps({"targets": targets}))
    server.sql("SELECT pg_create_physical_replication_slot('kept', true)")
    try:
        said = outcome(run_once(load_config(path), Selection(checks=("slot_filling_volume", "volume_full"))), "orders")
    finally:
        server.sql("SELECT pg_drop_replication_slot('kept')")
    (row,) = [row for row in said.rows if row.key == "kept"]
    assert said.status is Status.OK
    disk = os.statvfs(tmp_path)
    assert row.values["room_bytes"] == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.2)


def outcome(result: Result, target: str) -> Outcome:
    (view,) = [view for view in result.views if view.target.name == target]
    (check,) = view.checks
    assert check.outcome is not None
    return check.outcome


def test_who_asks_first_waits_for_the_first_word() -> None:
    hosts = Hosts()
    teller = hosts.teller()
    speaking = threading.Timer(0.05, teller.tell, (("orders",), HostTold("box", memory_bytes=1.0)))
    speaking.start()
    told = hosts.of("orders")
    speaking.join()
    assert told == HostTold("box", memory_bytes=1.0)


def test_nobody_waits_where_no_machine_is_watched_or_all_have_spoken() -> None:
    now = 0.0
    hosts = Hosts(lambda: now)
    assert hosts.of("orders") is None
    hosts.teller().tell(("crm",), None)
    assert hosts.of("orders") is None
    hosts.teller().tell(("orders",), HostTold("box", volumes={"wal": WAL}))
    now = BELIEVED_SECONDS
    assert (told := hosts.of("orders")) is not None
    assert told.wal_volume is WAL
    now += 1
    assert hosts.of("orders") is None, "a machine that has been silent for so long is not believed"


def test_the_log_is_on_the_volume_of_its_name_else_with_the_data() -> None:
    data = VolumeSpace("/data", 1.0, 1.0)
    assert HostTold("box", volumes={"data": data}).wal_volume is data
    assert HostTold("box", volumes={"data": data, "wal": WAL}).wal_volume is WAL
    assert HostTold("box", volumes={"backup": data}).wal_volume is None


@pytest.mark.parametrize(("group", "memory", "cpus"), [(None, 16.0, 4.0), ("/db/pg", 4.0, 2.0), ("/gone", None, None)])
def test_the_limits_of_the_group_are_what_the_servers_have(
    tmp_path: Path, group: str | None, memory: float | None, cpus: float | None
) -> None:
    """A group that was named and cannot be found leaves it unknown: the machine's numbers would be too large."""
    root, hosts = tmp_path / "root", Hosts()
    with healthy_machine(root, "data", files={**HEALTHY, **GROUP_FILES}):
        place = HostPlace(root, {"data": Path("/data")}, group, ("orders",))
        session = HostAdapter(hosts).connect(Target("box", Engine.HOST, place=place), Deadline.after(10))
        session.refresh(Deadline.after(10))
    told = hosts.of("orders")
    assert told is not None
    assert told.memory_bytes == (None if memory is None else memory * GIB)
    assert told.cpus == cpus
    assert told.volumes["data"].available_bytes == 60 * GIB


SETTINGS: RawRow = {
    "pid": 2**22 + 1,
    "client_port": 1,
    "session_name": "dbwatch",
    "database": "shop",
    "shared_buffers": 4 * GIB,
    "work_mem": 4.0 * 2**20,
    "maintenance_work_mem": 64.0 * 2**20,
    "autovacuum_work_mem": 64.0 * 2**20,
    "effective_cache_size": 4 * GIB,
    "hash_multiplier": 2.0,
    "connections": 100.0,
    "workers": 3.0,
    "running": 3,
    "connected": 5,
    "busiest_role": "app",
}
"""Of a server in another container: its process is none of ours."""


def asked(check: str, hosts: Hosts) -> ProbeContext:
    def fetch(sql: str, *, limit: int) -> Sequence[RawRow]:
        return [SETTINGS]

    facts = Facts(Engine.POSTGRES, (18, 1), "18.1", Role.PRIMARY, "postgresql")
    loaded = load_check(CHECKS / "postgres" / f"{check}.yaml", Engine.POSTGRES)

    def attempt(sql: str, *, limit: int, seconds: float) -> Sequence[RawRow]:
        raise AssertionError("nothing else is asked")

    return ProbeContext(
        fetch, attempt, lambda: 5.0, facts, loaded, Target("orders", Engine.POSTGRES), Memory(), None, hosts
    )


def test_a_server_beside_us_gets_its_memory_and_cores_from_its_machine() -> None:
    hosts = Hosts()
    with pytest.raises(Skipped, match="another machine; give `machine: memory:`"):
        memory_setting(asked("memory_setting", hosts))
    with pytest.raises(Skipped, match="another machine; give `machine: cpus:`"):
        excess_active_sessions(asked("excess_active_sessions", hosts))
    hosts.teller().tell(("orders",), HostTold("box", memory_bytes=8 * GIB, cpus=2.0))
    rows = {row["setting"]: row for row in memory_setting(asked("memory_setting", hosts))}
    assert rows["shared_buffers"]["memory_bytes"] == 8 * GIB
    assert rows["together"]["total_bytes"] == 4 * GIB + 3 * 64 * 2**20 + 50 * 8 * 2**20
    (sessions,) = excess_active_sessions(asked("excess_active_sessions", hosts))
    assert sessions["cpus"] == 2.0
