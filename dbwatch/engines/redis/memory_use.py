"""Owns reading memory, its limit and what was dropped or refused for want of it, out of INFO. Pure."""

from __future__ import annotations

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import error_count, number
from dbwatch.model import RawRow


def memory(info: Fields) -> tuple[RawRow, ...]:
    """Memory against its limit, as eviction counts it: buffers of replicas and of the AOF are not in it.

    `maxmemory` 0 means no limit, which is NULL here: a share of nothing is not a number.
    """
    used = number(info, "used_memory")
    uncounted = number(info, "mem_not_counted_for_evict") or 0.0
    policy = info.get("maxmemory_policy")
    keys = [number(info, name) for name in info if name.startswith("db") and name.endswith(".keys")]
    limit = number(info, "maxmemory") or None
    row: RawRow = {
        "used_bytes": used,
        "counted_bytes": None if used is None else max(0.0, used - uncounted),
        "max_bytes": limit,
        "resident_bytes": number(info, "used_memory_rss"),
        "evicts_any_key": None if policy is None else float(policy.startswith("allkeys-")),
        "keys": sum(count for count in keys if count is not None),
        "evicted_keys": number(info, "evicted_keys"),
        "oom_errors": error_count(info, "OOM"),
        "larger_bytes": None if limit is None else float(round(limit * 1.5)),
        "policy": policy,
    }
    return (row,)
