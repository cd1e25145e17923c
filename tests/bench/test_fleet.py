"""200 PostgreSQL targets, one daemon, one core; then a quarter of them frozen. Writes build/bench/fleet.json."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import pytest

from dbwatch.daemon import Daemon
from dbwatch.exposition import NotCollectedError
from tests.bench import fleet
from tests.bench.meter import cpu_seconds, memory_bytes, quantile
from tests.bench.notes import write
from tests.harness.freeze import frozen_tree
from tests.harness.postgres import Postgres
from tests.harness.waiting import eventually

MAJOR = 18
SERVERS, EACH = 4, 50
SETTLE_SECONDS, WATCH_SECONDS, SCRAPE_SECONDS = 40.0, 60.0, 15.0
LATEST_SECONDS = 1.0


@contextmanager
def one_core() -> Iterator[None]:
    """The threads of this process that begin inside, on one processor; the servers' stay where they are."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def missed(daemon: Daemon) -> float:
    lines = daemon.exposition.page().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("dbwatch_check_missed_total{"))


@pytest.mark.timeout(1200)
def test_two_hundred_targets_on_one_core_and_a_quarter_of_them_frozen() -> None:
    """As they are by default: the compatibility pages are there, and nobody asks for them. At last somebody does."""
    with ExitStack() as running, fleet.punctuality() as punctual:
        servers = [
            running.enter_context(Postgres(MAJOR, settings=fleet.SETTINGS, own_identity=True)) for _ in range(SERVERS)
        ]
        urls = [url for server in servers for url in fleet.databases(server, EACH)]
        with one_core():
            before, started = memory_bytes(os.getpid()), time.monotonic()
            daemon = running.enter_context(fleet.daemon_for(urls))
            eventually(lambda: daemon.scheduler.first_pass_done, timeout=600, every=0.5)
            first_pass = time.monotonic() - started
        targets = [view.target.name for view in daemon.store.views()]
        time.sleep(SETTLE_SECONDS)
        numbers = {"targets": len(targets), "first_pass_seconds": first_pass, **_watched(daemon, punctual, targets)}
        numbers["bytes_a_target"] = (memory_bytes(os.getpid()) - before) / len(targets)
        with frozen_tree(servers[0].postmaster_pid):
            time.sleep(SETTLE_SECONDS)
            frozen = _watched(daemon, punctual, targets[EACH:])
        with _scraped(daemon, targets):
            time.sleep(SETTLE_SECONDS)
            asked = _watched(daemon, punctual, targets)
        write("fleet", f"{len(targets)} targets", {**numbers, "frozen": frozen, "compat": asked})
    assert numbers["missed"] == 0
    assert numbers["late_p99_seconds"] < LATEST_SECONDS
    assert frozen["late_p99_seconds"] < LATEST_SECONDS


def _watched(daemon: Daemon, punctual: fleet.Punctuality, targets: list[str]) -> dict[str, float]:
    """What happens in a while. The bench's own work in this process is counted as the daemon's."""
    punctual.clear()
    missed_before, cpu_before = missed(daemon), cpu_seconds(os.getpid())
    time.sleep(WATCH_SECONDS)
    cpu = (cpu_seconds(os.getpid()) - cpu_before) / WATCH_SECONDS
    late = punctual.of(targets)
    started = time.thread_time()
    page = daemon.exposition.page()
    return {
        "runs_a_second": len(late) / WATCH_SECONDS,
        "missed": missed(daemon) - missed_before,
        "late_p50_seconds": quantile(late, 0.5),
        "late_p99_seconds": quantile(late, 0.99),
        "late_most_seconds": max(late),
        "cpu_share": cpu,
        "page_bytes": len(page),
        "page_series": sum(1 for line in page.splitlines() if not line.startswith(b"#")),
        "page_cpu_seconds": time.thread_time() - started,
        "resident_bytes": memory_bytes(os.getpid()),
    }


@contextmanager
def _scraped(daemon: Daemon, targets: Sequence[str]) -> Iterator[None]:
    """Somebody asks for the compatibility page of every target, at Prometheus' pace, on the daemon's core."""
    ended = threading.Event()

    def scrape() -> None:
        for name in itertools.cycle(targets):
            if ended.wait(SCRAPE_SECONDS / len(targets)):
                return
            with suppress(NotCollectedError):
                daemon.compat.page("postgres_exporter", name, gzip=True)

    with one_core():
        thread = threading.Thread(target=scrape)
        thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
