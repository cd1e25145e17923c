"""What an application feels of us: pgbench while the daemon works and while it is held, in turns. Writes
build/bench/light.json.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from contextlib import nullcontext, suppress

import pytest

from tests.bench.meter import cpu_seconds
from tests.bench.notes import write
from tests.harness.binaries import MissingError
from tests.harness.daemon import Daemon
from tests.harness.freeze import frozen
from tests.harness.postgres import Postgres

PAIRS, WINDOW_SECONDS, SETTLING_SECONDS = 40, 6, 2
SHARE_TO_KEEP = 0.99


@pytest.mark.timeout(1800)
def test_what_pgbench_feels() -> None:
    """One daemon, held by a signal in every second window: nothing else differs, and a drift of the machine hits both.

    What came due while it was held is made up for before its window begins, under load as well.
    """
    pgbench = shutil.which("pgbench", path="/usr/bin:/usr/lib/postgresql/15/bin")
    if pgbench is None:
        raise MissingError("postgres", "no pgbench; Debian's postgresql-contrib has it")
    with Postgres(18) as pg:
        pg.create_monitor_role("dbwatch", grants=("pg_monitor",))
        pg.sql("create extension pg_stat_statements")
        load = [pgbench, "-h", "127.0.0.1", "-p", str(pg.port), "-U", "postgres"]
        subprocess.run([*load, "-i", "-q", "-s", "10", "postgres"], check=True, capture_output=True, timeout=120)
        load += ["-n", "-S", "-c", str(os.cpu_count() or 1), "-j", "1"]
        ratios: list[float] = []
        spent = 0.0
        with Daemon([pg.url("dbwatch")]) as daemon:
            daemon.wait_ready()
            for pair in range(PAIRS):
                rates: dict[bool, float] = {}
                for watched in (True, False) if pair % 2 else (False, True):
                    with nullcontext() if watched else frozen(daemon.pid):
                        _rate(load, SETTLING_SECONDS)
                        before = _spent_so_far(pg, daemon)
                        rates[watched] = _rate(load, WINDOW_SECONDS)
                        after = _spent_so_far(pg, daemon)
                        spent += sum(after[pid] - before.get(pid, 0.0) for pid in after) if watched else 0.0
                ratios.append(rates[True] / rates[False])
    kept = statistics.mean(ratios)
    error = statistics.stdev(ratios) / PAIRS**0.5
    share = spent / (PAIRS * WINDOW_SECONDS * (os.cpu_count() or 1))
    write("light", "pgbench", {"kept": kept, "error": error, "cpu_share": share, "ratios": ratios})
    assert kept + 2 * error > SHARE_TO_KEEP
    assert 1 - share > SHARE_TO_KEEP


def _spent_so_far(pg: Postgres, daemon: Daemon) -> dict[int, float]:
    """Processor time of the daemon and of its sessions that live."""
    sessions = pg.sql("select pid from pg_stat_activity where application_name = 'dbwatch'")
    spent = {}
    for pid in (daemon.pid, *(pid for (pid,) in sessions)):
        with suppress(FileNotFoundError):  # it was a spare one
            spent[pid] = cpu_seconds(pid)
    return spent


def _rate(load: list[str], seconds: int) -> float:
    """Transactions a second of so long a run."""
    argv = [*load, "-T", str(seconds), "postgres"]
    text = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    return next(float(line.split()[2]) for line in text.splitlines() if line.startswith("tps"))
