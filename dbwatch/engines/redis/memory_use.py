"""Owns reading memory against its limit out of INFO: the server's own, the machine's, the allocator's. Pure."""

from __future__ import annotations

from dbwatch.engines.redis.commands import Fields
from dbwatch.engines.redis.fields import error_count, number
from dbwatch.engines.redis.keyspace import key_counts
from dbwatch.engines.redis.probe import ProbeContext, Rows
from dbwatch.errors import CheckError, Skipped
from dbwatch.model import RawRow, Reason

_SAFE_SHARE = 0.9
"""A limit beyond this share of the machine leaves no room for the system, forks and buffers: it is no limit."""


def memory(info: Fields) -> Rows:
    """Memory against its limit, as eviction counts it: buffers of replicas and of the AOF are not in it.

    `maxmemory` 0 means no limit, which is NULL here: a share of nothing is not a number.
    """
    used = number(info, "used_memory")
    uncounted = number(info, "mem_not_counted_for_evict") or 0.0
    policy = info.get("maxmemory_policy")
    keys, expiring = key_counts(info)
    limit = number(info, "maxmemory") or None
    exceeded_ms = number(info, "current_eviction_exceeded_time")
    row: RawRow = {
        "used_bytes": used,
        "counted_bytes": None if used is None else max(0.0, used - uncounted),
        "max_bytes": limit,
        "resident_bytes": number(info, "used_memory_rss"),
        "peak_bytes": number(info, "used_memory_peak"),
        "over_limit_seconds": None if exceeded_ms is None else exceeded_ms / 1e3,
        "evicts_any_key": None if policy is None else float(policy.startswith("allkeys-")),
        "droppable_ratio": _droppable(policy, keys, expiring),
        "keys": keys,
        "oom_errors": error_count(info, "OOM"),
        "larger_bytes": None if limit is None else float(round(limit * 1.5)),
        "policy": policy,
    }
    return (row,)


def _droppable(policy: str | None, keys: float, expiring: float) -> float | None:
    """The share of the keys that may be dropped to make room. Those with a time to live may, by volatile-*."""
    if policy is None:
        return None
    if policy.startswith("allkeys-"):
        return 1.0
    return expiring / keys if keys and policy.startswith("volatile-") else 0.0


def unlimited(context: ProbeContext) -> Rows:
    """What the server takes of its machine, and whether a limit of its own keeps it from taking all."""
    info = context.info
    configured = context.target.machine.memory_bytes
    told = context.machine_bytes()
    machine = configured if configured is not None else told or number(info, "total_system_memory")
    limit = number(info, "maxmemory")
    if machine is None or machine <= 0:
        text = "INFO does not tell the memory of the host; say it in the configuration: machine: {memory: 16GiB}"
        raise Skipped(Reason.PLATFORM, text)
    resident, used = number(info, "used_memory_rss"), number(info, "used_memory")
    needed = max((size for size in (resident, used) if size is not None), default=None)  # what is swapped out counts
    row: RawRow = {
        "machine_bytes": machine,
        "machine_ratio": None if needed is None else needed / machine,
        "bounded": None if limit is None else float(0 < limit <= _SAFE_SHARE * machine),
        "needed_bytes": needed,
        "safe_bytes": float(round(machine * 0.75)),
        "limit": None if limit is None else "there is no maxmemory" if limit == 0 else "maxmemory is larger than that",
        "machine": "the memory of its machine" if configured is not None or told else "the memory of its host",
    }
    return (row,)


def fragmented(info: Fields) -> Rows:
    """What the allocator holds and nobody uses. Only jemalloc tells it."""
    allocator = info.get("mem_allocator", "unknown")
    if not allocator.startswith("jemalloc"):
        text = f"the server was built with the allocator {allocator}, which does not tell what it wastes"
        raise Skipped(Reason.PLATFORM, text)
    used, peak = number(info, "used_memory"), number(info, "used_memory_peak")
    row: RawRow = {
        "fragmentation_ratio": number(info, "allocator_frag_ratio"),
        "fragmented_bytes": number(info, "allocator_frag_bytes"),
        "used_bytes": used,
        "peak_bytes": peak,
        "defragmenting": number(info, "active_defrag_running"),
    }
    if row["fragmentation_ratio"] is None or row["fragmented_bytes"] is None:
        raise CheckError(Reason.BAD_RESULT, "INFO does not tell the allocator's fragmentation", step="result")
    return (row,)


def swapped(info: Fields) -> Rows:
    """Memory that is allocated and not resident. The backlog may be reserved and not yet written to, as on 6.2."""
    used, resident = number(info, "used_memory"), number(info, "used_memory_rss")
    if used is None or resident is None:
        raise CheckError(Reason.BAD_RESULT, "INFO does not tell used_memory and used_memory_rss", step="result")
    expected = max(0.0, used - (number(info, "mem_replication_backlog") or 0.0))
    absent = max(0.0, expected - resident)
    row: RawRow = {
        "absent_bytes": absent,
        "absent_ratio": absent / expected if expected else 0.0,
        "used_bytes": used,
        "resident_bytes": resident,
    }
    return (row,)


def client_buffers(info: Fields) -> Rows:
    """What clients and replicas hold in requests not yet read to their end and answers not yet fetched."""
    shared, backlog = number(info, "mem_total_replication_buffers"), number(info, "mem_replication_backlog")
    replicas = number(info, "mem_clients_slaves")
    if replicas is not None and shared is not None and backlog is not None:
        replicas += max(0.0, shared - backlog)  # since 7.0 they share one buffer, and the backlog is part of it
    row: RawRow = {
        "buffer_bytes": number(info, "mem_clients_normal"),
        "replica_buffer_bytes": replicas,
        "clients": number(info, "connected_clients"),
        "replicas": number(info, "connected_slaves"),
        "max_bytes": number(info, "maxmemory") or None,
        "largest_request_bytes": number(info, "client_recent_max_input_buffer"),
        "largest_answer_bytes": number(info, "client_recent_max_output_buffer"),
    }
    return (row,)
