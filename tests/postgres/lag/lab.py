"""Owns the lag laboratory: a primary that writes the time, its standbys, who watches them, and what is true.

The truth needs no theory: the primary notes when each of its heartbeats was committed, and a standby is as far back as
the first of them that is not visible there; with none missing it has everything, however long ago that was.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from dbwatch.catalogue.loader import load_check
from dbwatch.config.loader import zero_config
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.cases import CHECKS
from tests.harness.postgres import Postgres

BEAT_SECONDS = 0.1
LOOK_SECONDS = 0.1
ROUND_SECONDS = 0.3
TOLERANCE_SECONDS = 1.0
NAMES = ("replication_lag", "replica_lag")


class Heart:
    """Writes the time into a primary ten times a second, and knows which commits it was told of."""

    def __init__(self, server: Postgres) -> None:
        server.sql("create table heartbeat (at float8)")
        self.beats: list[float] = []
        self._server = server
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, server: Postgres | None = None) -> None:
        self._server = server or self._server
        self._ended.clear()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None

    def once(self) -> None:
        with self._server.connect() as session:
            self._write(session)

    def _beat(self) -> None:
        with self._server.connect() as session:
            while not self._ended.wait(BEAT_SECONDS):
                self._write(session)

    def _write(self, session: psycopg.Connection[tuple[object, ...]]) -> None:
        at = time.time()
        session.execute("insert into heartbeat values (%s)", [at])
        self.beats.append(at)

    def missing_since(self, standby: Postgres) -> float | None:
        """When the first beat was written that cannot be seen on the standby; None when all can be."""
        known = list(self.beats)
        ((newest,),) = standby.sql("select max(at) from heartbeat")
        return next((beat for beat in known if newest is None or beat > newest), None)


class Watch:
    """Lanes that share what servers tell about each other, as those of one daemon do."""

    def __init__(self, servers: Mapping[str, Postgres]) -> None:
        self._watchdog = Watchdog()
        engines, store = Engines(), Store()
        checks = [load_check(CHECKS / "postgres" / f"{name}.yaml", Engine.POSTGRES) for name in NAMES]
        targets = zero_config([server.url("dbwatch") for server in servers.values()], environ={}).targets
        self.lanes = {
            name: Lane(target, engines.adapter(target.engine), checks, store, self._watchdog)
            for name, target in zip(servers, targets, strict=True)
        }

    def look(self, server: str, check: str = "replication_lag") -> Outcome:
        return self.lanes[server].run(check)

    def close(self) -> None:
        for lane in self.lanes.values():
            lane.close()
        self._watchdog.close()


@dataclass(slots=True)
class Series:
    """What one watcher said of one standby during one scene: the largest error, and how often nothing was said."""

    looks: int = 0
    withheld: int = 0
    worst: float = 0.0
    told: float | None = None
    method: str | None = None

    def add(self, told: float | None, least: float, most: float) -> None:
        self.looks += 1
        if told is None:
            self.withheld += 1
            return
        self.told = told
        error = least - told if told < least else max(0.0, told - most)
        self.worst = max(self.worst, error)


@dataclass(slots=True)
class Scene:
    """One scenario: the truth at its end, and the series of each watcher.

    `late` is how much longer than `ROUND_SECONDS` a round of looks took: on a busy machine they come less often.
    `bounds` are watchers that can only know how much it is at most, `unseen` those that cannot see it.
    """

    name: str
    truth: float = 0.0
    late: float = 0.0
    series: dict[str, Series] = field(default_factory=dict)
    bounds: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)

    def line(self) -> str:
        parts = []
        for name, one in self.series.items():
            said = "withheld" if one.told is None else f"{one.told:.2f} by {one.method}"
            error = "" if one.told is None else f", error {one.worst:.2f}"
            if name in self.bounds:
                error = ", a bound"
            elif name in self.unseen:
                error = ", cannot be seen"
            parts.append(f"{name}: {said}{error}".ljust(44))
        return f"{self.name:46} truth {self.truth:.2f} | {' | '.join(parts)}".rstrip()


class Lab:
    """Observes scene after scene, and keeps what came of it."""

    def __init__(self, heart: Heart) -> None:
        self.heart = heart
        self.scenes: list[Scene] = []
        self._pace = threading.Event()

    def observe(
        self,
        name: str,
        standby: Postgres,
        watchers: Mapping[str, Callable[[], Outcome]],
        *,
        first: Sequence[Callable[[], object]] = (),
        truth: float | None = None,
        seconds: float = 0.0,
        delay: float = 0.0,
    ) -> Scene:
        """Look in rounds, `first` before the watchers, until the truth has reached `truth`, or for some seconds."""
        scene = Scene(name, series={watcher: Series() for watcher in watchers})
        started = time.monotonic()
        while True:
            begun = time.monotonic()
            for act in first:
                act()
            for watcher, ask in watchers.items():
                self._look(scene, watcher, standby, ask, delay)
            scene.late = max(scene.late, time.monotonic() - begun - ROUND_SECONDS)
            passed = time.monotonic() - started
            if passed >= seconds and (truth is None or scene.truth >= truth):
                break
            assert passed < seconds + 30, f"the truth of a scene does not get there: {scene.line()}"
            self._pace.wait(LOOK_SECONDS)
        self.scenes.append(scene)
        return scene

    def _look(self, scene: Scene, watcher: str, standby: Postgres, ask: Callable[[], Outcome], delay: float) -> None:
        """The truth at the moment of the look lies between what it was before and after."""
        before, began = self.heart.missing_since(standby), time.time()
        outcome = ask()
        after, ended = self.heart.missing_since(standby), time.time()
        assert outcome.rows, f"{scene.name}, {watcher}: {outcome.status} {outcome.summary}"
        row = outcome.rows[0]
        longest = before if before is not None else after
        least = 0.0 if after is None else max(0.0, began - after - delay)
        most = 0.0 if longest is None else max(0.0, ended - longest - delay)
        series = scene.series[watcher]
        series.add(row.values["lag_seconds"], least, most)
        series.method = row.details["method"]
        scene.truth = most


@contextmanager
def watching(*watches: Watch) -> Iterator[None]:
    try:
        yield
    finally:
        for watch in watches:
            watch.close()
