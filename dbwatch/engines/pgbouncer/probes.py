"""Owns the measurements that one SHOW by column names cannot say, by the name a check file gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dbwatch.engines.pgbouncer import databases, limits, pools, sizes, stranded, versions
from dbwatch.engines.pgbouncer.probe import Probe

PROBES: Final[Mapping[str, Probe]] = {
    "clients_saturated": limits.clients_saturated,
    "clients_waiting": pools.clients_waiting,
    "database_paused": databases.database_paused,
    "file_limit_low": limits.file_limit_low,
    "pool_oversized": sizes.pool_oversized,
    "pool_saturated": pools.pool_saturated,
    "pool_without_server": stranded.pool_without_server,
    "servers_idle": sizes.servers_idle,
    "version_outdated": versions.outdated,
    "version_unsupported": versions.unsupported,
}
