"""Asking a bundled check about one database the way the product does: through a Lane, as a pg_monitor role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.config.loader import zero_config
from dbwatch.engines import Engines
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Outcome, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.checks.cases import CHECKS
from tests.harness.postgres import Postgres


def bundled(name: str, thresholds: Mapping[Status, str]) -> Check:
    """A check of the catalogue with other levels."""
    return load_check(CHECKS / "postgres" / f"{name}.yaml", Engine.POSTGRES).with_levels(thresholds)


@contextmanager
def lane_to(server: Postgres, database: str, check: Check, engines: Engines, name: str = "postgres") -> Iterator[Lane]:
    """A lane that asks one check of one database; lanes with the same `engines` are of one process."""
    target = zero_config([server.url("dbwatch", database)], environ={}).targets[0]
    target = replace(target, name=name, include_databases=(database,))
    watchdog = Watchdog()
    lane = Lane(target, engines.adapter(target.engine), [check], Store(), watchdog)
    try:
        yield lane
    finally:
        lane.close()
        watchdog.close()


def asked(server: Postgres, database: str, name: str, warning: str) -> Outcome:
    """The outcome of one look."""
    check = bundled(name, {Status.WARNING: warning})
    with lane_to(server, database, check, Engines()) as lane:
        return lane.run(name)
