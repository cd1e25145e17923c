"""The engines: one adapter a lane. The only place that imports a database driver."""

from __future__ import annotations

from dbwatch.engines.base import Adapter
from dbwatch.engines.postgres.cluster import Clusters
from dbwatch.engines.redis.peers import Peers
from dbwatch.model import Engine


class Engines:
    """Makes the adapters of one process; those of one engine share what servers tell about each other."""

    def __init__(self) -> None:
        self._clusters = Clusters()
        self._peers = Peers()

    def adapter(self, engine: Engine) -> Adapter:
        """A new adapter, for one lane; its driver is imported only now."""
        match engine:
            case Engine.POSTGRES:
                from dbwatch.engines.postgres.adapter import PostgresAdapter

                return PostgresAdapter(self._clusters)
            case Engine.REDIS:
                from dbwatch.engines.redis.adapter import RedisAdapter

                return RedisAdapter(self._peers)
            case Engine.BACKUP:
                from dbwatch.engines.backup.adapter import BackupAdapter

                return BackupAdapter()
