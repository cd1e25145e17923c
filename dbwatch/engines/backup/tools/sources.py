"""Owns making a source of every tool that a target names."""

from __future__ import annotations

from dbwatch.config.backups import Backups
from dbwatch.engines.backup.record import Source
from dbwatch.engines.backup.tools.barman import BarmanSource
from dbwatch.engines.backup.tools.pace import Paced
from dbwatch.engines.backup.tools.pgbackrest import PgbackrestSource
from dbwatch.engines.backup.tools.walg import WalgSource


def tool_sources(backups: Backups) -> tuple[Source, ...]:
    """Each is run at most once in five minutes, however often it is asked: keep them as long as the target lives."""
    sources: list[Source] = [
        *(PgbackrestSource(config) for config in backups.pgbackrest),
        *(BarmanSource(config) for config in backups.barman),
        *(WalgSource(config) for config in backups.walg),
    ]
    return tuple(Paced(source) for source in sources)
