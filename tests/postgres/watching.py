"""Watching several servers, or one for a while, as the daemon does: a lane a target, one process's knowledge shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config import Target
from dbwatch.config.target import Expect
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome, Role
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.cases import CHECKS
from tests.harness.postgres import Postgres


class Watch:
    """`look("a")` runs the check on target a; a session that the server ended is opened anew first."""

    def __init__(self, check: Check, engines: Engines, watchdog: Watchdog) -> None:
        self.check = check
        self._engines = engines
        self._watchdog = watchdog
        self._store = Store()
        self._lanes: dict[str, Lane] = {}

    def add(self, name: str, server: Postgres, *, role: Role | None = None, port: int | None = None) -> None:
        """Watch a server as target `name`, as a role that holds pg_monitor only; `role` is what it is meant to be."""
        if not server.in_recovery():
            server.create_monitor_role()
        target = Target(
            name=name,
            engine=Engine.POSTGRES,
            host=server.host,
            port=port or server.port,
            database="postgres",
            user="dbwatch",
            expect=Expect(role=role),
        )
        adapter = self._engines.adapter(Engine.POSTGRES)
        self._lanes[name] = Lane(target, adapter, [self.check], self._store, self._watchdog)

    def look(self, name: str) -> Outcome:
        return self._lanes[name].run(self.check.name)

    def reconnect(self, name: str) -> None:
        self._lanes[name].close()
        assert self._lanes[name].connect()

    def close(self) -> None:
        for lane in self._lanes.values():
            lane.close()


@contextmanager
def watching(check: str) -> Iterator[Watch]:
    """One bundled check on any number of targets of one process."""
    watchdog = Watchdog()
    watch = Watch(load_check(CHECKS / "postgres" / f"{check}.yaml", Engine.POSTGRES), Engines(), watchdog)
    try:
        yield watch
    finally:
        watch.close()
        watchdog.close()
