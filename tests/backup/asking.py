"""Owns asking the sources and the checks about real backups, as the product asks. Makes no backup."""

from __future__ import annotations

import os
from functools import cache
from unittest.mock import patch

from dbwatch.bundled import bundled
from dbwatch.catalogue import Catalogue
from dbwatch.catalogue.loader import load_catalogue
from dbwatch.config import Target
from dbwatch.config.backups import Backups, Barman, Pgbackrest
from dbwatch.deadline import Deadline
from dbwatch.engines import Engines
from dbwatch.engines.backup.record import Seen
from dbwatch.engines.backup.tools import tool_sources
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.lanes import Lane
from dbwatch.model import Engine, Status
from dbwatch.runner.watchdog import Watchdog
from dbwatch.store import Store
from tests.harness.process import UNPRIVILEGED

DAY = 86_400
AS_SERVER_USER = ("/usr/sbin/runuser", "-u", UNPRIVILEGED, "--") if os.geteuid() == 0 else ()
"""Root may read what is forbidden; and a command with a program before the tool is a thing to support."""


def of(config: Pgbackrest | Barman) -> Backups:
    return Backups(pgbackrest=(config,)) if isinstance(config, Pgbackrest) else Backups(barman=(config,))


def see(config: Pgbackrest | Barman) -> Seen:
    (source,) = tool_sources(of(config))
    return source.look(Deadline.after(60))


def verdicts(config: Pgbackrest | Barman) -> dict[str, str]:
    """Each check that is not ok, with its status and what it says, through a lane as the product has it."""
    return see_and_judge(config)[1]


def see_and_judge(config: Pgbackrest | Barman) -> tuple[Seen, dict[str, str]]:
    """What the source reports and what the checks say, after one look: the source keeps its pace."""
    sources = tool_sources(of(config))
    with patch("dbwatch.engines.backup.sources.tool_sources", return_value=sources):
        said = _judged(config)
    return sources[0].look(Deadline.after(60)), said


def _judged(config: Pgbackrest | Barman) -> dict[str, str]:
    target = Target(name="kept", engine=Engine.BACKUP, backups=of(config))
    watchdog, store = Watchdog(), Store()
    checks = [check for check in _catalogue() if check.engine is Engine.BACKUP and check.probe != CONNECT_PROBE]
    lane = Lane(target, Engines().adapter(Engine.BACKUP), checks, store, watchdog)
    try:
        outcomes = {check.name: lane.run(check.name) for check in checks}
    finally:
        lane.close()
        watchdog.close()
    return {
        name: f"{outcome.status}: {' / '.join(finding.message for finding in outcome.findings) or outcome.summary}"
        for name, outcome in outcomes.items()
        if outcome.status not in (Status.OK, Status.SKIPPED)
    }


@cache
def _catalogue() -> Catalogue:
    return load_catalogue([bundled("checks")])
