"""Rows 35, 36, 54 and 55: servers as large as they get, and a daemon that runs for long or has little.

The soak of row 54 runs beside the other tests of this module, which wait more than they compute.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbwatch import lanes
from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Reason, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.cases import CHECKS
from tests.conftest import wanted_majors
from tests.faults.head_count import HeadCount
from tests.harness.beside import Beside
from tests.harness.cluster import give_to_server_user
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.harness.proxy import Proxy
from tests.harness.redis import RedisServer
from tests.harness.waiting import eventually
from tests.postgres.scale import ruler, town

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""The flapping peer of the soak leaves connections that its proxy never met."""

TABLES, BUILDERS = 50_000, 2
DATABASES = 300
RUNS = 20_000 if os.environ.get("DBWATCH_CASES") == "all" else 6_000
MIB = 1024 * 1024
ROOT = Path(__file__).parents[2]

_MANY_TABLES = """
DO $do$ BEGIN
  FOR i IN {first}..{last} LOOP
    EXECUTE format('CREATE TABLE t%s (id int)', i);
    IF i % 500 = 0 THEN COMMIT; END IF;
  END LOOP;
END $do$
"""
WHERE = """\
summary: Says where it is
group: tests
why: A test wants to know where it has been.
every: 15s
timeout: 10s
scope: database
sql: select pg_catalog.current_database()::text as name, 1 as number
columns:
  name: {use: label}
  number: {use: gauge, metric: dbwatch_pg_where_number, help: A number.}
limit: 1000
key: [name]
message: here
runbook: {meaning: m, impact: i, diagnosis: d, mitigation: m}
"""
SPILL = """\
summary: Sorts more than fits into memory
group: tests
why: A test needs a query that spills.
every: 15s
timeout: 10s
sql: select count(*) as number from (select g from pg_catalog.generate_series(1, 200000) as g order by -g) as s
columns:
  number: {use: gauge, metric: dbwatch_pg_spill_number, help: A number.}
message: spilt
runbook: {meaning: m, impact: i, diagnosis: d, mitigation: m}
"""


# -- row 54, begun first ---------------------------------------------------------------------------


class Soak:
    """The lanes of `tests.faults.soak` in a process of their own; one target flaps until it ends."""

    def __init__(self, pg: Postgres, redis: RedisServer, folder: Path) -> None:
        self.out, self.err = folder / "soak.out", folder / "soak.err"
        self._proxy = Proxy(pg.port)
        url = pg.create_monitor_role()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.soak", url, self._proxy.url(url), redis.url(), str(RUNS)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=ROOT,
            )
        self._thread = threading.Thread(target=self._flap, name="flapping", daemon=True)
        self._thread.start()

    def _flap(self) -> None:
        while self.process.poll() is None:
            for fault in (self._proxy.refuse, self._proxy.reset):
                for change in (fault, self._proxy.pass_):
                    change()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self.process.wait(0.25)

    def states(self) -> list[dict[str, Any]]:
        """What it said in its course."""
        assert self.process.wait(240) == 0, self.err.read_text()[-3000:]
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        self._thread.join(30)
        self._proxy.close()


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with Postgres(max(wanted_majors()), settings={**town.SETTINGS, "max_connections": "40"}) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def soak(pg: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soak]:
    with (
        RedisServer("redis-7.0") as redis,
        contextlib.closing(Soak(pg, redis, tmp_path_factory.mktemp("soak"))) as soak,
    ):
        yield soak


# -- row 35 ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crowded(pg: Postgres) -> Postgres:
    """A database of so many tables, none with a row."""
    pg.create_database(town.DATABASE)
    share = TABLES // BUILDERS
    builders = [
        threading.Thread(
            target=pg.sql,
            args=(_MANY_TABLES.format(first=n * share + 1, last=(n + 1) * share),),
            kwargs={"dbname": town.DATABASE},
        )
        for n in range(BUILDERS)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(120)
    pg.sql("ANALYZE pg_class, pg_attribute, pg_type, pg_depend", dbname=town.DATABASE)
    pg.sql("CREATE EXTENSION pg_stat_statements")
    pg.create_monitor_role(ruler.ROLE, grants=("pg_monitor", "pg_read_all_data"))
    assert pg.sql("SELECT count(*) FROM pg_class WHERE relkind = 'r'", dbname=town.DATABASE)[0][0] > TABLES
    return pg


def our_backend(pg: Postgres) -> tuple[int, int]:
    """Process and private memory of the one session that looks at the crowded database."""
    asked = "SELECT pid FROM pg_stat_activity WHERE usename = %s AND datname = %s"
    ((pid,),) = eventually(
        lambda: rows if len(rows := pg.sql(asked, [ruler.ROLE, town.DATABASE])) == 1 else [], what="one session of ours"
    )
    status = Path(f"/proc/{pid}/status").read_text()
    (memory,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon"))
    return pid, memory


@pytest.mark.timeout(200)
def test_row_35_fifty_thousand_tables(crowded: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    with ruler.lane(crowded) as (lane, _):
        lane.connect()
        _, fresh = our_backend(crowded)
        outcomes = {name: lane.run(name, lifetime=True) for name in lane.checks}
        late = {name: outcome for name, outcome in outcomes.items() if outcome.status is Status.UNKNOWN}
        assert late == {}
        assert all(len(outcome.rows) <= lane.checks[name].limit for name, outcome in outcomes.items())
        pid, used = our_backend(crowded)
        assert used < 200 * MIB, "no check opens every relation"
        monkeypatch.setattr(lanes, "SESSION_AGE_SECONDS", -1.0)
        assert lane.run("connections_saturated").status is not Status.UNKNOWN
        renewed, left = our_backend(crowded)
        assert renewed != pid
        assert left < fresh + 16 * MIB, (fresh, used, left)


# -- row 36 ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hundreds() -> Iterator[Postgres]:
    """A server of so many databases that are one and the same on disk: linked files, which nobody writes to."""
    settings = {**town.SETTINGS, "max_connections": "40", "allow_system_table_mods": "on"}
    with Postgres(max(wanted_majors()), settings=settings) as server:
        server.create_monitor_role()
        server.create_database("db_0")
        server.sql("VACUUM FREEZE", dbname="db_0")
        asked = (
            "SELECT attname FROM pg_attribute WHERE attrelid = 'pg_database'::regclass AND attnum > 0 ORDER BY attnum"
        )
        changed = {"oid": "100000 + n", "datname": "'db_' || n"}
        columns = ", ".join(changed.get(str(name), str(name)) for (name,) in server.sql(asked))
        server.sql(
            f"INSERT INTO pg_database SELECT {columns} FROM pg_database, generate_series(1, {DATABASES - 1}) AS n"
            " WHERE datname = 'db_0'"
        )
        (origin,) = server.sql("SELECT oid::int FROM pg_database WHERE datname = 'db_0'")[0]
        server.stop()
        base = server.data / "base"
        for number in range(1, DATABASES):
            shutil.copytree(base / str(origin), base / str(100_000 + number), copy_function=os.link)
        give_to_server_user(base)
        server.start()
        yield server


@contextmanager
def lane_at(pg: Postgres, *checks: Check) -> Iterator[Lane]:
    target = Target(name="one", engine=Engine.POSTGRES, host=pg.host, port=pg.port, user="dbwatch", database="postgres")
    watchdog = Watchdog()
    lane = Lane(target, Engines().adapter(Engine.POSTGRES), checks, Store(), watchdog)
    try:
        assert lane.connect()
        yield lane
    finally:
        lane.close()
        watchdog.close()


def own_check(folder: Path, name: str, text: str) -> Check:
    (folder / "postgres").mkdir(exist_ok=True)
    (folder / "postgres" / f"{name}.yaml").write_text(text)
    return load_check(folder / "postgres" / f"{name}.yaml", Engine.POSTGRES)


@pytest.mark.timeout(200)
def test_row_36_three_hundred_databases_one_after_another(hundreds: Postgres, tmp_path: Path) -> None:
    where = replace(own_check(tmp_path, "where", WHERE), timeout=120.0)
    with HeadCount(hundreds) as sessions, lane_at(hundreds, where) as lane:
        whole = lane.run("where")
    assert whole.status is Status.OK, whole
    assert {row.labels["name"] for row in whole.rows} >= {f"db_{number}" for number in range(DATABASES)}
    assert sessions.looks > 5
    assert sessions.most <= 2


def test_row_36_the_round_ends_at_its_budget(hundreds: Postgres, tmp_path: Path) -> None:
    where = replace(own_check(tmp_path, "where", WHERE), timeout=0.4)
    with lane_at(hundreds, where) as lane:
        began = time.monotonic()
        cut = lane.run("where")
        assert time.monotonic() - began < 20
    assert (cut.status, cut.reason) == (Status.UNKNOWN, Reason.TIMEOUT), cut
    assert re.search(r"database db_\d+ could not be looked at \(and \d+ more\)|no answer within", cut.summary), cut
    assert len(cut.rows) < DATABASES


def test_row_36_no_room_for_temporary_files(hundreds: Postgres, tmp_path: Path) -> None:
    hundreds.configure(temp_file_limit="0")
    well = load_check(CHECKS / "postgres" / "idle_in_transaction.yaml", Engine.POSTGRES)
    with lane_at(hundreds, own_check(tmp_path, "spill", SPILL), well) as lane:
        outcome = lane.run("spill")
        assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.RESOURCES), outcome
        assert lane.run(well.name).status is Status.OK, "the session goes on"


# -- row 55 ----------------------------------------------------------------------------------------


def test_row_55_sixty_four_descriptors(pg: Postgres) -> None:
    """Peers of the endpoint take all there are, again and again; then they leave."""
    url = pg.create_monitor_role("narrow")
    text = (
        "defaults: {profile: minimal, connect_timeout: 2s, intervals: {server_unreachable: 1s}}\n"
        f"targets:\n  - {{name: shop, engine: postgres, url: '{url}'}}\n"
    )
    well = 'dbwatch_check_status{check="server_unreachable",target="shop"} 0.0'
    with Daemon(config_text=text, prefix=("prlimit", "--nofile=64:64"), args=("--log-format", "json")) as daemon:
        daemon.wait_ready()
        daemon.wait_metric(well)
        with Crowd(daemon.port):
            eventually(lambda: reasons_told(daemon) & {"resources", "error", "dns"}, what="worse, with a reason")
            assert daemon.returncode is None
        daemon.wait_metric(well, timeout=60)
        assert daemon.answers("/healthz")
        told = reasons_told(daemon)
        assert told & {"resources"}, told
        assert not [line for line in daemon.log_lines() if "Traceback" in line]
        assert descriptors(daemon.pid) < 40


class Crowd(Beside):
    """A hundred peers that say nothing; who is sent away comes back."""

    def __init__(self, port: int) -> None:
        super().__init__("crowd")
        self._port = port

    def work(self) -> None:
        peers: list[socket.socket] = []
        while not self.ending.wait(0.02):
            peers = [peer for peer in peers if self._stays(peer)]
            while len(peers) < 100 and not self.ending.is_set():
                try:
                    peers.append(socket.create_connection(("127.0.0.1", self._port), timeout=1))
                except OSError:
                    break
        for peer in peers:
            peer.close()

    @staticmethod
    def _stays(peer: socket.socket) -> bool:
        peer.setblocking(False)
        try:
            gone = peer.recv(1) == b""
        except BlockingIOError:
            return True
        except OSError:
            gone = True
        peer.close()
        return not gone


def reasons_told(daemon: Daemon) -> set[str]:
    return {event["reason"] for event in daemon.log_events() if event["event"] == "target down"}


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


# -- row 54, at its end ----------------------------------------------------------------------------


def test_row_54_thousands_of_runs_with_a_flapping_target_leave_nothing_behind(soak: Soak) -> None:
    states = soak.states()
    assert states[-1]["runs"] == RUNS
    outcomes = states[-1]["outcomes"]
    assert min(outcomes[f"target{number}:answered"] for number in range(3)) > RUNS / 50, outcomes
    lost = sum(count for name, count in outcomes.items() if name.startswith("target1:") and "answered" not in name)
    assert lost > RUNS / 100, outcomes
    # What Python and libpq keep for later is kept by then.
    settled = states[len(states) // 4 :]
    grown = (settled[-1]["memory_kib"] - settled[0]["memory_kib"]) / (settled[-1]["runs"] - settled[0]["runs"])
    assert grown < 1.0, f"{grown:.2f} KiB a run"
    for kind, room in (("descriptors", 3), ("threads", 2)):
        counts = [state[kind] for state in settled]
        assert max(counts) - min(counts) <= room, (kind, counts)
