"""How light it is: memory with one target of each kind, start-up, a one-shot run, sizes.

Writes build/bench/light.json.
"""

from __future__ import annotations

import importlib.metadata
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import dbwatch
from tests.bench.meter import Scraper, cpu_seconds, memory_bytes, quantile
from tests.bench.notes import write
from tests.harness.daemon import Daemon
from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer

WATCH_SECONDS = 120.0
# The goal. Most of what there is are imported libraries; a process that also reads its configuration has 15 MB more.
MOST_BYTES = 80_000_000
LOCK = Path(__file__).parents[2] / "requirements.lock"


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with Postgres(18) as server:
        server.create_monitor_role("dbwatch", grants=("pg_monitor",))
        server.sql("create extension pg_stat_statements")
        yield server


@pytest.mark.timeout(400)
def test_memory_and_idle_processor_time(pg: Postgres) -> None:
    with RedisServer("redis-7.0") as redis, Daemon([pg.url("dbwatch"), redis.url()]) as daemon:
        daemon.wait_ready()
        pages = [Scraper(f"{daemon.url}{path}") for path in ("/metrics", "/compat/postgres_exporter")]
        for page in pages:
            page.wait()
        time.sleep(15)
        before, until = cpu_seconds(daemon.pid), time.monotonic() + WATCH_SECONDS
        while time.monotonic() < until:
            time.sleep(15)
            for page in pages:
                page.scrape()
        share = (cpu_seconds(daemon.pid) - before) / WATCH_SECONDS
        for page in pages:
            page.close()
        resident = memory_bytes(daemon.pid)
        lines = [line for line in daemon.metrics().splitlines() if not line.startswith("#")]
        (plans,) = pg.sql("select max(pid) from pg_stat_activity where application_name = 'dbwatch'")[0]
        write(
            "light",
            "daemon",
            {
                "resident_bytes": resident,
                "cpu_share": share,
                "series_postgres": sum('target="postgres"' in line for line in lines),
                "series_redis": sum('target="redis"' in line for line in lines),
                "backend_bytes": memory_bytes(plans),
            },
        )
    assert resident <= MOST_BYTES
    assert share < 0.01


def test_start_up(pg: Postgres) -> None:
    url = pg.url("dbwatch")
    taken = {
        "help": _taken("--help"),
        "check": _taken("check", url, "--sample", "0"),
        "bare_interpreter": _taken(),
    }
    write("light", "start", taken)
    assert taken["help"][0] < 0.25
    assert taken["check"][0] < 1.0


def _taken(*args: str) -> tuple[float, float]:
    """Seconds, and seconds of processor time, of a command; without arguments of an interpreter that does nothing."""
    argv = [sys.executable, "-m", "dbwatch", *args] if args else [sys.executable, "-c", ""]
    times, spent = [], []
    for _ in range(7):
        before, started = _children(), time.monotonic()
        subprocess.run(argv, capture_output=True, check=False, timeout=60)
        times.append(time.monotonic() - started)
        spent.append(_children() - before)
    return quantile(times, 0.5), quantile(spent, 0.5)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_size() -> None:
    """Of dbwatch and what it needs, as installed: what an image holds beyond Python."""
    locked = re.findall(r"(?m)^([\w.-]+)==", LOCK.read_text())
    sizes = {name: _installed_bytes(name) for name in locked}
    own = sum(path.stat().st_size for path in Path(dbwatch.__file__).parent.rglob("*.py"))
    own += sum(path.stat().st_size for path in (LOCK.parent / "checks").rglob("*.yaml"))
    write("light", "size", {"bytes": own + sum(sizes.values()), "own_bytes": own, "largest": sizes})
    assert own > 0


def _installed_bytes(name: str) -> int:
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return 0  # for another Python or platform
    paths = [Path(str(file.locate())) for file in files if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.exists())
