"""The engines: one adapter a lane. The only place that imports a database driver."""

from __future__ import annotations

from dbwatch.engines.base import Adapter
from dbwatch.engines.hosts import Hosts
from dbwatch.engines.postgres.cluster import Clusters
from dbwatch.engines.redis.peers import Peers
from dbwatch.model import Engine


class Engines:
    """Makes the adapters of one process; those of one engine share what servers tell about each other."""

    def __init__(self) -> None:
        self._clusters = Clusters()
        self._peers = Peers()
        self._hosts = Hosts()

    @property
    def hosts(self) -> Hosts:
        """What the watched machines tell."""
        return self._hosts

    def adapter(self, engine: Engine) -> Adapter:
        """A new adapter, for one lane; its driver is imported only now."""
        match engine:
            case Engine.POSTGRES:
                from dbwatch.engines.postgres.adapter import PostgresAdapter

                return PostgresAdapter(self._clusters, self._hosts)
            case Engine.REDIS:
                from dbwatch.engines.redis.adapter import RedisAdapter

                return RedisAdapter(self._peers, self._hosts)
            case Engine.BACKUP:
                from dbwatch.engines.backup.adapter import BackupAdapter

                return BackupAdapter(self._clusters)
            case Engine.HOST:
                from dbwatch.engines.host.adapter import HostAdapter

                return HostAdapter(self._hosts)
            case Engine.PGBOUNCER:
                from dbwatch.engines.pgbouncer.adapter import PgBouncerAdapter

                return PgBouncerAdapter()
