"""Owns the daemon: puts the parts together, follows signals, reloads, ends in time. The composition root of `serve`."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

import structlog

from dbwatch.config import Config, Target, load_config, zero_config
from dbwatch.engines import Engines
from dbwatch.errors import ConfigError
from dbwatch.exposition import Exposition
from dbwatch.lanes import Lane
from dbwatch.report.document import document
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.schedule import TICK_SECONDS, Scheduler
from dbwatch.store import Store
from dbwatch.web import WebServer, create_app

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 5.0
_LATE_TICKS = 6


def config_source(path: Path | None, urls: tuple[str, ...] = ()) -> Callable[[], Config]:
    """How to read the configuration, now and at every reload."""
    return (lambda: load_config(path)) if path is not None else (lambda: zero_config(urls))


def _usable(config: Config) -> Config:
    if config.targets:
        return config
    hint = "give a URL, --config FILE, or set DATABASE_URL or REDIS_URL"
    raise ConfigError.of(config.source, "names no target", hint=hint)


class Daemon:
    """Runs until a signal. `read_config` is called at the start and at every reload.

    `owns_process` lets an end that takes too long, or a second signal, end the whole process at once.
    """

    def __init__(
        self,
        read_config: Callable[[], Config],
        host: str,
        port: int,
        *,
        enable_reload: bool = False,
        owns_process: bool = True,
    ) -> None:
        self._owns_process = owns_process
        self._read_config = read_config
        self._config = _usable(read_config())
        self.store = Store()
        self._watchdog = Watchdog()
        self._engines = Engines()
        self.scheduler = Scheduler(self._missed)
        self.exposition = Exposition(self.store, self.scheduler)
        self.store.subscribe(self.exposition.update)
        self._lanes: dict[str, Lane] = {}
        self._started = time.monotonic()
        self._started_at_seconds = time.time()
        # A SimpleQueue may be put to in a signal handler; an Event's lock may be held by the code it interrupts.
        self._signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._ending: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._stopping = False
        self._reload_lock = threading.Lock()
        app = create_app(
            self.store,
            self.exposition,
            ready=self._ready,
            alive=self._alive,
            document=self._document,
            reload=self.reload if enable_reload else None,
        )
        self.web = WebServer(app, host, port)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit code."""
        if self._owns_process:
            threading.Thread(target=self._end_in_time, name="dbwatch-end", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self.start()
        while self._signals.get() == signal.SIGHUP:
            self.reload()
        self.stop()
        return 0

    def start(self) -> None:
        """Bind the port first: a daemon that cannot be scraped must not start to measure. Raises ConfigError.

        Lanes measure nothing until they are scheduled, and the first scrape names every target.
        """
        for target in self._config.targets:
            self._lanes[target.name] = self._lane(target, self._config)
        self.web.start()
        self.scheduler.start(self._lanes.values())
        self.exposition.reload_succeeded(True)
        log.info("serving", address=self.web.address, targets=len(self._lanes), config=self._config.source)

    def stop(self) -> None:
        """Stop ticking, end what runs, close; never waits for a hung server."""
        log.info("stopping")
        self.scheduler.stop()
        self._watchdog.close()
        self.web.stop()
        self._ended.set()

    def reload(self) -> list[str]:
        """Validate, then swap; lanes of unchanged targets keep session and schedule. Returns the problems."""
        with self._reload_lock:
            try:
                config = _usable(self._read_config())
            except ConfigError as error:
                self.exposition.reload_succeeded(False)
                problems = [str(problem) for problem in error.problems]
                log.error("config rejected", problems=problems)
                return problems
            except Exception as error:
                # Whatever a file can do to its reader, the daemon goes on with what it has.
                self.exposition.reload_succeeded(False)
                log.exception("config not read")
                return [f"internal error: {type(error).__name__}; the log says more"]
            self._swap(config)
            self._config = config
            self.exposition.reload_succeeded(True)
            log.info("config reloaded", targets=len(self._lanes))
            return []

    def _swap(self, config: Config) -> None:
        wanted = {target.name: target for target in config.targets}
        for name in list(self._lanes):
            lane = self._lanes[name]
            target = wanted.get(name)
            if target == lane.target and list(lane.checks.values()) == list(selected(config.catalogue, lane.target)):
                continue
            self.scheduler.remove(name)
            del self._lanes[name]
            self.store.forget(name)
            self.exposition.forget(name)
        for name, target in wanted.items():
            if name not in self._lanes:
                lane = self._lane(target, config)
                self._lanes[name] = lane
                self.scheduler.add(lane)
        self.store.arrange(list(wanted))

    def _lane(self, target: Target, config: Config) -> Lane:
        if target.password is not None and target.password.readable_by_others():
            log.warning("password file is readable by others", target=target.name, file=str(target.password.file))
        checks = selected(config.catalogue, target)
        return Lane(target, self._engines.adapter(target.engine), checks, self.store, self._watchdog)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            if self._stopping and self._owns_process:
                os._exit(0)
            self._stopping = True
            self._ending.put(number)
        self._signals.put(number)

    def _end_in_time(self) -> None:
        """End the process when ending takes too long, whatever the main thread hangs in."""
        self._ending.get()
        if not self._ended.wait(SHUTDOWN_SECONDS):
            os._exit(0)

    def _missed(self, target: str, check: str) -> None:
        self.exposition.missed(target, check)

    def _ready(self) -> bool:
        return self.scheduler.first_pass_done

    def _alive(self) -> bool:
        return time.monotonic() - self.scheduler.tick_monotonic < _LATE_TICKS * TICK_SECONDS

    def _document(self) -> Mapping[str, object]:
        return document(
            self.store.views(),
            started_at_seconds=self._started_at_seconds,
            duration_seconds=time.monotonic() - self._started,
        )
