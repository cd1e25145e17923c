"""The differences from redis_exporter that we stand by, each with its reason: they go into docs/compat.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.compat.comparison import Allowance, Aspect, allowed

_MOVES = "Moves by itself between two looks, up and down."

EVERYWHERE: Sequence[Allowance] = (
    allowed(
        "dbwatch_compat_series_dropped_total",
        "Ours: what the caps on series left out of the page.",
        Aspect.EXTRA,
    ),
    allowed(
        "redis_total_system_memory_bytes",
        "The exporter has to be told to show it (--include-system-metrics), and published rules ask for it.",
        Aspect.EXTRA,
    ),
    allowed(
        "redis_db_keys_with_expiring_items",
        "The name of later releases for what 1.86 shows as redis_db_keys_cached.",
        Aspect.EXTRA,
    ),
    allowed(
        "redis_exporter_last_scrape_duration_seconds",
        "Nothing is read when somebody scrapes; this is what the last runs of all collectors took.",
        Aspect.VALUES,
    ),
    allowed(
        "redis_exporter_scrapes_total",
        "Runs of the collector that runs most often, whoever scrapes.",
        Aspect.VALUES,
    ),
    allowed(
        "redis_start_time_seconds",
        "By the server's clock; the exporter takes its own, in whole seconds.",
        Aspect.VALUES,
        slack=60,
    ),
    allowed("redis_connected_slave_lag_seconds", _MOVES, Aspect.VALUES, slack=60),
    allowed("redis_master_last_io_seconds_ago", _MOVES, Aspect.VALUES, slack=60),
    allowed("redis_db_avg_ttl_seconds", _MOVES, Aspect.VALUES, slack=60),
    allowed("redis_expired_stale_percentage", _MOVES, Aspect.VALUES),
    allowed("redis_instantaneous_*", _MOVES, Aspect.VALUES),
    allowed("redis_latency_percentiles_usec", _MOVES, Aspect.VALUES),
    allowed("redis_memory_used_*", _MOVES, Aspect.VALUES, slack=8 * 1024 * 1024),
    allowed("redis_allocator_*", _MOVES, Aspect.VALUES, slack=8 * 1024 * 1024),
    allowed("redis_mem_*", _MOVES, Aspect.VALUES, slack=8 * 1024 * 1024),
    allowed("redis_client_recent_max_*", _MOVES, Aspect.VALUES),
    allowed(
        "redis_connected_clients",
        "Whoever looks has a connection of its own.",
        Aspect.VALUES,
        slack=2,
    ),
)
OF_SERVERS: Mapping[str, Sequence[Allowance]] = {
    "valkey-*": (
        allowed(
            "redis_instance_info",
            "The exporter leaves redis_mode empty on Valkey, which calls it server_mode; here it is filled.",
            Aspect.LABELS,
            Aspect.FEWER,
            Aspect.MORE,
        ),
    ),
    "*-sentinel": (
        allowed(
            "redis_db_keys*",
            "The exporter shows 16 empty databases of a sentinel, which has none.",
            Aspect.MISSING,
        ),
        allowed("redis_hz", "A sentinel varies it at random, lest all of them vote at once.", Aspect.VALUES, slack=20),
        allowed("redis_sentinel_master_last_ok_ping_reply_seconds", _MOVES, Aspect.VALUES, slack=60),
    ),
}
"""Those that hold on some servers only."""
ALLOWANCES: Sequence[Allowance] = (*EVERYWHERE, *(known for some in OF_SERVERS.values() for known in some))
