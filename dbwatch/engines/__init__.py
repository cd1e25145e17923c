"""The engines: one adapter a kind of server. The only place that imports a database driver."""

from __future__ import annotations

from dbwatch.engines.base import Adapter
from dbwatch.model import Engine


def adapter_for(engine: Engine) -> Adapter:
    """The adapter of an engine; its driver is imported only now."""
    match engine:
        case Engine.POSTGRES:
            from dbwatch.engines.postgres.adapter import PostgresAdapter

            return PostgresAdapter()
        case Engine.REDIS:
            from dbwatch.engines.redis.adapter import RedisAdapter

            return RedisAdapter()
        case Engine.BACKUP:
            from dbwatch.engines.backup.adapter import BackupAdapter

            return BackupAdapter()
