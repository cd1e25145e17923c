"""Owns what the questions cost a server in an hour: each one's own cost, times how often it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dbwatch.catalogue import Check
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.config import Target
from dbwatch.config.loader import zero_config
from dbwatch.engines import Engines
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.lanes import Lane
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.bench.contest import HOUR, SCRAPE_SECONDS
from tests.bench.ground import DATABASE
from tests.bench.meter import Spent, forget_spent, spent_by
from tests.harness.postgres import Postgres


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of ours: the mean cost of a run, and how often it is asked."""

    name: str
    every_seconds: float
    is_collector: bool
    spent: Spent

    @property
    def seconds_an_hour(self) -> float:
        return self.spent.seconds * HOUR / self.every_seconds

    @property
    def statements_an_hour(self) -> float:
        return self.spent.statements * HOUR / self.every_seconds


class Asker:
    """A lane with every default check and collector on one server, run by hand."""

    def __init__(self, pg: Postgres) -> None:
        config = zero_config([pg.url("dbwatch", DATABASE)], environ={})
        self._pg = pg
        self.target: Target = config.targets[0]
        self._watchdog = Watchdog()
        collectors = load_collectors(config.check_directories).of(self.target.engine)
        checks = selected(config.catalogue, self.target)
        adapter = Engines().adapter(self.target.engine)
        self._lane = Lane(self.target, adapter, checks, Store(), self._watchdog, collectors=collectors)
        self._checks: Mapping[str, Check] = {**self._lane.checks, **self._lane.collectors}
        self._lane.connect()

    def close(self) -> None:
        self._lane.close()
        self._watchdog.close()

    def ask_all(self, between: Callable[[], None]) -> list[Asked]:
        """Every question once; `between` is called a few times on the way."""
        asked = []
        for place, (name, check) in enumerate(self._checks.items()):
            if check.probe == CONNECT_PROBE:
                continue
            if place % 20 == 0:
                between()
            forget_spent(self._pg, "dbwatch")
            self._lane.run(name)
            every = self.target.intervals.get(name, check.every)
            asked.append(Asked(name, every, check.collector is not None, spent_by(self._pg, "dbwatch")))
        return asked


def mean(runs: list[list[Asked]]) -> list[Asked]:
    """The mean of some passes; the slowest statement is the slowest of all."""
    return [
        Asked(
            each[0].name,
            each[0].every_seconds,
            each[0].is_collector,
            Spent(
                sum(run.spent.seconds for run in each) / len(each),
                round(sum(run.spent.statements for run in each) / len(each)),
                max(run.spent.temp_blocks for run in each),
                max(run.spent.slowest_seconds for run in each),
            ),
        )
        for each in zip(*runs, strict=True)
    ]


def exporter_cost(pg: Postgres, scrape: Callable[[], object]) -> Spent:
    """What one scrape of the exporter costs the server."""
    forget_spent(pg, "exporter")
    scrape()
    return spent_by(pg, "exporter")


SCRAPES_AN_HOUR = HOUR / SCRAPE_SECONDS
