"""Running one collector of PostgreSQL once, as a lane of the daemon does."""

from __future__ import annotations

from dbwatch.bundled import bundled
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.catalogue.families import Exporter
from dbwatch.config.loader import target_from_url
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Outcome
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.harness.postgres import Postgres


def collected(server: Postgres, name: str, database: str = "postgres") -> Outcome:
    """What the collector read."""
    check = load_collectors([bundled("checks")]).checks[Exporter.POSTGRES, name]
    target = target_from_url(server.url(dbname=database))
    read: list[Outcome] = []
    watchdog = Watchdog()
    lane = Lane(
        target,
        Engines().adapter(target.engine),
        [],
        Store(),
        watchdog,
        collectors=[check],
        collected=lambda _target, _check, outcome: read.append(outcome),
    )
    try:
        lane.run(check.name)
    finally:
        lane.close()
        watchdog.close()
    (outcome,) = read
    return outcome
