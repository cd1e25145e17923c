"""Owns the measurements that a field mapping cannot say, by the name a check file gives.

Every number is NULL when this server does not tell it. Texts are evidence for a person, in plain words.
"""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.engines.redis import (
    cluster,
    command_times,
    error_replies,
    identity,
    keyspace,
    latency,
    listeners,
    memory_use,
    replicas,
    sentinel,
    slow_log,
    snapshots,
    versions,
)
from dbwatch.engines.redis.big_keys import big_keys
from dbwatch.engines.redis.certificates import certificates
from dbwatch.engines.redis.compat import OF_INFO
from dbwatch.engines.redis.compat_asked import ASKED
from dbwatch.engines.redis.eviction import evictions
from dbwatch.engines.redis.persistence import look_at_lack, look_at_persistence
from dbwatch.engines.redis.probe import Probe, of_info
from dbwatch.engines.redis.replication import replication
from dbwatch.engines.redis.split_brain import split_brain
from dbwatch.engines.redis.vanished import vanished

PROBES: Mapping[str, Probe] = {
    **OF_INFO,
    **ASKED,
    "access_denied": Probe(error_replies.denials),
    "big_keys": Probe(big_keys),
    "certificates": of_info(certificates),
    "client_buffers": of_info(memory_use.client_buffers),
    "cluster_coverage": Probe(cluster.coverage, (cluster.NODES,)),
    "cluster_nodes": Probe(cluster.nodes, (cluster.NODES,)),
    "cluster_state": Probe(cluster.state, optional=(cluster.INFO,)),
    "command_percentiles": of_info(latency.percentiles),
    "command_times": Probe(command_times.slow_commands),
    "copies": Probe(snapshots.copies),
    "error_rate": Probe(error_replies.error_rate),
    "errors_by_kind": of_info(error_replies.errors_by_kind),
    "evictions": Probe(evictions),
    "expiry": of_info(keyspace.expiry),
    "failover": Probe(identity.failover),
    "full_resync": Probe(replicas.resyncs),
    "keys_vanished": Probe(vanished),
    "keys_without_ttl": of_info(keyspace.without_ttl),
    "large_messages": Probe(slow_log.large_messages, (slow_log.COMMANDLOG,)),
    "latency_events": Probe(latency.events, (latency.LATEST,), (latency.SETTINGS,)),
    "loading": of_info(identity.loading),
    "main_thread": Probe(command_times.main_thread),
    "memory": of_info(memory_use.memory),
    "memory_fragmented": of_info(memory_use.fragmented),
    "memory_swapped": of_info(memory_use.swapped),
    "memory_unlimited": Probe(memory_use.unlimited),
    "min_replicas": Probe(replicas.needed_for_writes, optional=("CONFIG GET",)),
    "persistence": Probe(look_at_persistence, optional=("CONFIG GET",)),
    "persistence_off": Probe(look_at_lack, ("CONFIG GET",)),
    "plain_text": Probe(listeners.plain_text, optional=(listeners.SETTINGS,)),
    "replica_missing": Probe(replicas.missing),
    "replication": of_info(replication),
    "role_changed": Probe(identity.role_changed),
    "sentinel_failovers": Probe(sentinel.failovers, (sentinel.MASTERS,)),
    "sentinel_primaries": Probe(sentinel.primaries),
    "sentinel_quorum": Probe(sentinel.quorum, (sentinel.CKQUORUM,)),
    "sentinel_replicas": Probe(sentinel.replicas, optional=(sentinel.REPLICAS,)),
    "server_restarted": Probe(identity.server_restarted),
    "slow_commands": Probe(slow_log.slow_commands, optional=(slow_log.SLOWLOG, slow_log.SETTINGS)),
    "snapshot_running": of_info(snapshots.running),
    "split_brain": Probe(split_brain),
    "strangers": Probe(listeners.strangers, optional=(listeners.SETTINGS,)),
    "version_outdated": of_info(versions.outdated),
    "version_unsupported": of_info(versions.unsupported),
}
