"""Owns reading what was dropped to make room, and whether that hurts: on a store, or in a cache that thrashes."""

from __future__ import annotations

from dbwatch.engines.redis.fields import flag, number
from dbwatch.engines.redis.growth import Growth
from dbwatch.engines.redis.keyspace import key_counts
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.model import RawRow


class _Lookups(Growth):
    """Hits and misses at the previous look."""


def evictions(context: ProbeContext) -> Rows:
    """One row. The lookups are another check's columns, so their growth is remembered here."""
    info = context.info
    hits, misses = number(info, "keyspace_hits"), number(info, "keyspace_misses")
    grown = None
    if hits is not None and misses is not None:
        grown = context.memory.of(_Lookups).since({"hits": hits, "misses": misses})
    lookups = None if grown is None else grown["hits"] + grown["misses"]
    keys, expiring = key_counts(info)
    policy, limit = info.get("maxmemory_policy"), number(info, "maxmemory") or None
    any_key = None if policy is None else policy.startswith("allkeys-")
    stored = flag(info, "aof_enabled", "1")
    row: RawRow = {
        "evicted_keys": number(info, "evicted_keys"),
        "keys": keys,
        "droppable_keys": None if any_key is None else keys if any_key else expiring,
        "expiring_keys": expiring,
        "evicts_any_key": None if any_key is None else float(any_key),
        "keeps_log": stored,
        "lookups": lookups,
        "hit_ratio": grown["hits"] / lookups if grown is not None and lookups else None,
        "larger_bytes": None if limit is None else float(round(limit * 1.5)),
        "policy": policy,
        "nature": "which writes an append-only file, as a store does" if stored else "which works as a cache",
    }
    return (row,)
