"""Owns the few metrics that are read at every scrape: this process, its log, its scheduler, its configuration."""

from __future__ import annotations

import platform
import threading
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from dbwatch import __version__, logs
from dbwatch.exposition.block import Block, counter, gauge, render


class SchedulerState(Protocol):
    """What the page says of the scheduler: when it last ticked, by the wall clock."""

    @property
    def tick_timestamp_seconds(self) -> float: ...


class ProcessMetrics:
    """Reads /proc, never a database."""

    def __init__(self, scheduler: SchedulerState) -> None:
        self._scheduler: Final = scheduler
        # A registry of our own: the library's global one would let any import add to our page.
        self._registry: Final = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def render(self, *, reload_successful: bool) -> Block:
        build = gauge("dbwatch_build_info", "The running dbwatch; the value is always 1.", ("version", "python"))
        build.add_metric((__version__, platform.python_version()), 1.0)
        reload = gauge(
            "dbwatch_config_last_reload_successful", "Whether the last configuration read could be used.", ()
        )
        reload.add_metric((), float(reload_successful))
        tick = gauge("dbwatch_scheduler_tick_timestamp_seconds", "When the scheduler last showed life.", ())
        tick.add_metric((), self._scheduler.tick_timestamp_seconds)
        lost = counter("dbwatch_log_dropped_total", "Log events that were lost unread or could not be written.", ())
        lost.add_metric((), float(logs.dropped()))
        threads = gauge("dbwatch_threads", "Threads that run now.", ())
        threads.add_metric((), float(threading.active_count()))
        return render((build, reload, tick, lost, threads, *self._registry.collect()))
