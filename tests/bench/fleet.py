"""Owns one daemon with many targets inside this process, and how late each of its runs starts."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import psycopg
import pytest

from dbwatch.budget import Budget
from dbwatch.config import zero_config
from dbwatch.daemon import Daemon
from dbwatch.lanes import Lane
from dbwatch.logs import configure
from dbwatch.schedule import Scheduler, hashed_offset
from tests.harness.postgres import Postgres

SETTINGS = {"max_connections": "250", "shared_buffers": "64MB", "autovacuum_naptime": "1h"}


@dataclass
class Punctuality:
    """How late runs started, by target. The first run of a check, and one that was brought forward, have no time."""

    late_seconds: dict[str, list[float]] = field(default_factory=dict)
    runs: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, target: str, seconds: float) -> None:
        with self._lock:
            self.late_seconds.setdefault(target, []).append(seconds)

    def clear(self) -> None:
        with self._lock:
            self.late_seconds.clear()

    def of(self, targets: Sequence[str]) -> list[float]:
        with self._lock:
            return [late for name in targets for late in self.late_seconds.get(name, [])]


@contextmanager
def punctuality() -> Iterator[Punctuality]:
    """Note the lateness of every run of every scheduler made inside."""
    noted = Punctuality()
    run, bring_forward = Scheduler._run, Scheduler._bring_forward
    begun: set[str] = set()
    brought: set[str] = set()

    def noting_run(self: Scheduler, lane: Lane, name: str, budget: Budget) -> None:
        check = lane.checks.get(name) or lane.collectors[name]
        job = f"{lane.target.name}:{name}"
        interval = lane.target.intervals.get(name, check.every)
        place = check.name if check.collector is None else check.collector.exporter
        late = (time.time() - hashed_offset(lane.target.name, place, interval)) % interval
        if job in begun and job not in brought and lane.wants(name):
            noted.note(lane.target.name, late)
        begun.add(job)
        brought.discard(job)
        run(self, lane, name, budget)

    def noting_forward(self: Scheduler, job_id: str, seconds: float) -> None:
        brought.add(job_id)
        bring_forward(self, job_id, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scheduler, "_run", noting_run)
        patch.setattr(Scheduler, "_bring_forward", noting_forward)
        yield noted


def databases(pg: Postgres, count: int) -> list[str]:
    """So many databases of a new server, and a role that may look into them; their URLs."""
    pg.create_monitor_role("dbwatch", grants=("pg_monitor",))
    with psycopg.connect(pg.url(), autocommit=True) as session:
        for number in range(count):
            session.execute(f"create database d{number} strategy file_copy".encode())
    return [pg.url("dbwatch", f"d{number}") for number in range(count)]


@contextmanager
def daemon_for(urls: Sequence[str]) -> Iterator[Daemon]:
    """One daemon with the default settings, started. Each target looks into its own database alone."""
    configure("error", "auto")
    found = zero_config(urls, environ={})
    config = replace(found, targets=tuple(replace(one, include_databases=(one.database,)) for one in found.targets))
    pace = gc.get_threshold()
    daemon = Daemon(lambda: config, "127.0.0.1", 0)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        gc.set_threshold(*pace)
