"""Owns what the questions cost a server in an hour: each one's own cost, times how often it is asked.

A session begins anew every so often. The first time it asks a question the server plans it; the second time it does and
keeps the plan of what comes often; from then on it does not. Each is measured for itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dbwatch.catalogue import Check
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.config import Target
from dbwatch.config.loader import zero_config
from dbwatch.engines import Engines
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.lanes import SESSION_AGE_SECONDS, Lane
from dbwatch.runner.plan import selected
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.bench.contest import HOUR, SCRAPE_SECONDS
from tests.bench.ground import DATABASE
from tests.bench.meter import Spent, forget_spent, spent_by
from tests.harness.postgres import Postgres

SESSIONS_AN_HOUR = HOUR / SESSION_AGE_SECONDS


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of ours: what each run cost, the first two of a session before the rest, and how often it runs."""

    name: str
    every_seconds: float
    is_collector: bool
    runs: tuple[Spent, ...]

    @property
    def seconds_an_hour(self) -> float:
        first, second, *others = (run.seconds for run in self.runs)
        later = HOUR / self.every_seconds - 2 * SESSIONS_AN_HOUR
        if later <= 0:
            return first * HOUR / self.every_seconds
        return (first + second) * SESSIONS_AN_HOUR + statistics.median(others) * later

    @property
    def statements_an_hour(self) -> float:
        return self.runs[-1].statements * HOUR / self.every_seconds

    @property
    def temp_blocks(self) -> int:
        return max(run.temp_blocks for run in self.runs)

    @property
    def slowest_seconds(self) -> float:
        """What its slowest statement takes, as a rule: another program's turn on the processor is not ours."""
        return statistics.median(run.slowest_seconds for run in self.runs)


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

    def begin_anew(self) -> Spent:
        """Open another session; what that costs, with all that it finds out about the server."""
        self._lane.close()
        forget_spent(self._pg, "dbwatch")
        self._lane.connect()
        return spent_by(self._pg, "dbwatch")

    def ask_all(self, between: Callable[[], None]) -> Mapping[str, Spent]:
        """Every question once; `between` is called a few times on the way."""
        asked = {}
        for place, (name, check) in enumerate(self._checks.items()):
            if check.probe == CONNECT_PROBE:
                continue
            if place % 40 == 0:
                between()
            forget_spent(self._pg, "dbwatch")
            self._lane.run(name)
            asked[name] = spent_by(self._pg, "dbwatch")
        return asked

    def asked(self, passes: Sequence[Mapping[str, Spent]]) -> list[Asked]:
        """The passes of one session together, question by question."""
        return [
            Asked(
                name,
                self.target.intervals.get(name, self._checks[name].every),
                self._checks[name].collector is not None,
                tuple(each[name] for each in passes),
            )
            for name in passes[0]
        ]


def exporter_cost(pg: Postgres, scrape: Callable[[], object]) -> Spent:
    """What one scrape of the exporter costs the server."""
    forget_spent(pg, "exporter")
    scrape()
    return spent_by(pg, "exporter")


SCRAPES_AN_HOUR = HOUR / SCRAPE_SECONDS
