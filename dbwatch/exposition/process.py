"""Owns the few metrics that are read at every scrape: this process, its scheduler, its configuration."""

from __future__ import annotations

import platform
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from dbwatch import __version__
from dbwatch.exposition.block import Block, gauge, render


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
        return render((build, reload, tick, *self._registry.collect()))
