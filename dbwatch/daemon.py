"""Owns the daemon: puts the parts together, follows signals, reloads, ends in time. The composition root of `serve`."""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import TypeVar

import structlog

from dbwatch import garbage
from dbwatch.catalogue import Check
from dbwatch.catalogue.collected import Collectors
from dbwatch.config import Config, Target, load_wanted_collectors
from dbwatch.config.shard import Shard
from dbwatch.engines import Engines
from dbwatch.errors import ConfigError, Problem
from dbwatch.exposition import CompatPages, Exposition
from dbwatch.lanes import Lane
from dbwatch.report.document import document
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.schedule import TICK_SECONDS, Scheduler
from dbwatch.store import Store
from dbwatch.web import Protection, WebServer, create_app, exposure

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 5.0
_LATE_TICKS = 6
T = TypeVar("T")


def _usable(config: Config) -> Config:
    if config.targets:
        return config
    hint = "give a URL, --config FILE, or set DATABASE_URL or REDIS_URL"
    raise ConfigError.of(config.source, "names no target", hint=hint)


def _collectors(config: Config) -> Collectors:
    return config.collectors if config.collectors is not None else load_wanted_collectors(config)


def _collectors_of(target: Target, collectors: Collectors) -> tuple[Check, ...]:
    return collectors.of(target.engine) if target.compat else ()


def _fits(lane: Lane, target: Target | None, config: Config, collectors: Collectors) -> bool:
    """Whether the lane does what the configuration wants of this target."""
    return (
        target == lane.target
        and [*lane.checks.values()] == [*selected(config.catalogue, lane.target)]
        and [*lane.collectors.values()] == [*_collectors_of(lane.target, collectors)]
    )


def _beside(read_config: Callable[[], Config], read: Callable[[], T]) -> T:
    """What `read` gives. Raises ConfigError with its problems and the configuration's, which is read by the caller."""
    try:
        return read()
    except ConfigError as error:
        found: list[Problem] = []
        try:
            _usable(read_config())
        except ConfigError as other:
            found += other.problems
        raise ConfigError([*found, *error.problems]) from None


class Daemon:
    """Runs until a signal. `read_config` is called at the start and at every reload.

    Of several daemons with one configuration each watches the targets of its `shard`.
    `owns_process` lets an end that takes too long, or a second signal, end the whole process at once.
    """

    def __init__(
        self,
        read_config: Callable[[], Config],
        host: str,
        port: int,
        *,
        enable_reload: bool = False,
        web_config: Path | None = None,
        shard: Shard | None = None,
        owns_process: bool = True,
    ) -> None:
        self._owns_process = owns_process
        self._shard = shard
        self._read_config = read_config
        self._is_good = {"config": True, "web": True}
        self._protection = _beside(read_config, lambda: Protection(web_config, self._web_config_read))
        self._config = self._own(read_config())
        self._collectors = _collectors(self._config)
        self.store = Store()
        self._watchdog = Watchdog()
        self._engines = Engines()
        self.scheduler = Scheduler(self._missed, self._paced)
        self.compat = CompatPages(self.store)
        self.exposition = Exposition(self.store, self.scheduler, also_spent=self.compat.query_seconds)
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
            compat=self.compat,
            ready=self._ready,
            alive=self._alive,
            document=self._document,
            reload=self.reload if enable_reload else None,
        )
        self.web = WebServer(app, host, port, self._protection)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; returns the exit code."""
        if self._owns_process:
            threading.Thread(target=self._end_in_time, name="dbwatch-end", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self.start()
        while (told := self._next_signal()) in (None, signal.SIGHUP):
            if told is None:
                self._settle()
            else:
                self.reload()
        self.stop()
        return 0

    def start(self) -> None:
        """Bind the port first: a daemon that cannot be scraped must not start to measure. Raises ConfigError.

        Lanes measure nothing until they are scheduled, and the first scrape names every target.
        """
        for target in self._config.targets:
            self._lanes[target.name] = self._lane(target, self._config, self._collectors)()
        self.web.start()
        self._settle()
        self.scheduler.start(self._lanes.values())
        self._tell("config", True)
        if note := exposure(self._protection.current, self.web.host):
            log.warning("endpoint", address=self.web.address, note=note)
        shard = {"shard": str(self._shard)} if self._shard is not None else {}
        log.info("serving", address=self.web.address, targets=len(self._lanes), config=self._config.source, **shard)

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
                web = _beside(self._read_config, self._protection.read)
                config = self._own(self._read_config())
                swap = self._prepared(config, _collectors(config))
                # From here on nothing depends on a file any more.
                swap()
                self._protection.adopt(web)
            except ConfigError as error:
                self._tell("config", False)
                problems = [str(problem) for problem in error.problems]
                log.error("config rejected", problems=problems)
                return problems
            except Exception as error:
                # Whatever a file can do to its reader, the daemon goes on with what it has.
                self._tell("config", False)
                log.exception("config not taken")
                return [f"internal error: {type(error).__name__}; the log says more"]
            self._is_good["web"] = True
            self._tell("config", True)
            self._settle()
            log.info("config reloaded", targets=len(self._lanes))
            return []

    def _settle(self) -> None:
        if self._owns_process:
            garbage.collect()

    def _own(self, config: Config) -> Config:
        """The part of the configuration that is ours: a shard may have no target, a configuration may not."""
        usable = _usable(config)
        return self._shard.of(usable) if self._shard is not None else usable

    def _tell(self, what: str, good: bool) -> None:
        self._is_good[what] = good
        self.exposition.reload_succeeded(all(self._is_good.values()))

    def _web_config_read(self, good: bool) -> None:
        self._tell("web", good)

    def _prepared(self, config: Config, collectors: Collectors) -> Callable[[], None]:
        """What puts a configuration in force. Whatever can fail has been done when it is returned."""
        wanted = {target.name: target for target in config.targets}
        kept = {name for name, lane in self._lanes.items() if _fits(lane, wanted.get(name), config, collectors)}
        stale = [name for name in self._lanes if name not in kept]
        making = {name: self._lane(target, config, collectors) for name, target in wanted.items() if name not in kept}

        def swap() -> None:
            self._config, self._collectors = config, collectors
            for name in stale:
                self.scheduler.remove(name)
                del self._lanes[name]
                self.store.forget(name)
                self.exposition.forget(name)
                self.compat.forget(name)
            for name, make in making.items():
                self._lanes[name] = make()
                self.scheduler.add(self._lanes[name])
            self.store.arrange(list(wanted))

        return swap

    def _lane(self, target: Target, config: Config, collectors: Collectors) -> Callable[[], Lane]:
        """What makes the lane and registers its target; the driver is imported and the checks are chosen before."""
        if target.password is not None and target.password.readable_by_others():
            log.warning("password file is readable by others", target=target.name, file=str(target.password.file))
        return functools.partial(
            Lane,
            target,
            self._engines.adapter(target.engine),
            selected(config.catalogue, target),
            self.store,
            self._watchdog,
            collectors=_collectors_of(target, collectors),
            collected=self.compat.update,
            wanted=self.compat.wanted,
        )

    def _next_signal(self) -> int | None:
        """None when it is time to settle before there was one."""
        with contextlib.suppress(queue.Empty):
            return self._signals.get(timeout=garbage.EVERY_SECONDS)
        return None

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

    def _paced(self, lane: Lane, stretches: Mapping[str, float]) -> None:
        """Some checks of a lane wait longer than before, or less long again."""
        name = lane.target.name
        self.store.pace(name, stretches)
        self.exposition.paced(name)
        self.compat.paced(name, stretches)
        lane.announcer.pace(stretches)

    def _ready(self) -> bool:
        return self.scheduler.first_pass_done

    def _alive(self) -> bool:
        return time.monotonic() - self.scheduler.tick_monotonic < _LATE_TICKS * TICK_SECONDS

    def _document(self) -> Mapping[str, object]:
        return document(
            self.store.views(),
            started_at_seconds=self._started_at_seconds,
            duration_seconds=time.monotonic() - self._started,
            counts=True,
        )
