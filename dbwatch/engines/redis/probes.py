"""Owns the measurements that a field mapping cannot say, by the name a check file gives.

Every number is NULL when this server does not tell it. Texts are evidence for a person, in plain words.
"""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.engines.redis import versions
from dbwatch.engines.redis.memory_use import memory
from dbwatch.engines.redis.persistence import persistence
from dbwatch.engines.redis.probe import Probe, of_info
from dbwatch.engines.redis.replication import replication

PROBES: Mapping[str, Probe] = {
    "memory": of_info(memory),
    "persistence": of_info(persistence),
    "replication": of_info(replication),
    "version_outdated": of_info(versions.outdated),
    "version_unsupported": of_info(versions.unsupported),
}
