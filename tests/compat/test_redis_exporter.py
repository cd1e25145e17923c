"""The compatibility page of redis_exporter against the real one: primary, replica, cluster node and sentinel."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue.collectors import load_collectors
from dbwatch.catalogue.families import Exporter as Known
from tests.compat import recording
from tests.compat.comparison import Allowance, Aspect, allowed, compare
from tests.compat.exporters import exporter_program
from tests.compat.postgres_rig import Look
from tests.compat.redis_allowances import ALLOWANCES, EVERYWHERE, OF_SERVERS
from tests.compat.redis_rig import EXPORTER, WATCHED, looked_at
from tests.compat.scraped import read_page

DROPPED = tuple(
    allowed(pattern, reason, Aspect.MISSING)
    for pattern, reason in load_collectors([bundled("checks")]).exporters[Known.REDIS].dropped.items()
)
ASKED_FOR = {
    "redis_up",
    "redis_uptime_in_seconds",
    "redis_connected_clients",
    "redis_blocked_clients",
    "redis_memory_used_bytes",
    "redis_memory_used_rss_bytes",
    "redis_memory_max_bytes",
    "redis_commands_total",
    "redis_commands_duration_seconds_total",
    "redis_commands_processed_total",
    "redis_keyspace_hits_total",
    "redis_keyspace_misses_total",
    "redis_net_input_bytes_total",
    "redis_net_output_bytes_total",
    "redis_db_keys",
    "redis_db_keys_expiring",
    "redis_expired_keys_total",
    "redis_evicted_keys_total",
    "redis_connected_slaves",
    "redis_rejected_connections_total",
    "redis_rdb_last_save_timestamp_seconds",
    "redis_mem_fragmentation_ratio",
    "redis_config_maxclients",
    "redis_instance_info",
}
"""What published dashboards and rules ask of a server."""
BEYOND_INFO = {
    "redis_commands_latencies_usec",
    "redis_config_client_output_buffer_limit_bytes",
    "redis_config_client_output_buffer_limit_overcome_seconds",
    "redis_config_io_threads",
    "redis_last_slow_execution_duration_seconds",
    "redis_latency_spike_duration_seconds",
    "redis_latency_spike_last",
    "redis_slowlog_last_id",
    "redis_slowlog_length",
}
"""What takes CONFIG GET, LATENCY or SLOWLOG."""


@pytest.fixture(scope="module")
def look() -> Iterator[Look]:
    exporter_program(EXPORTER)
    with looked_at() as found:
        yield found


def _known(server: str) -> Sequence[Allowance]:
    own = (known for pattern, some in OF_SERVERS.items() if fnmatch.fnmatchcase(server, pattern) for known in some)
    return (*EVERYWHERE, *own, *DROPPED)


def test_every_difference_has_its_reason(look: Look) -> None:
    unexplained: list[str] = []
    needed: set[str] = set()
    for server, seen in look.servers.items():
        for difference in compare(seen.before, seen.ours, seen.after):
            reasons = [known.families for known in _known(server) if known.covers(difference)]
            needed.update(reasons)
            if not reasons:
                unexplained.append(f"{server}: {difference}")
    assert unexplained == []
    # Values may be equal by chance, the rest may not.
    stale = {known.families for known in ALLOWANCES if known.aspects != {Aspect.VALUES}} - needed
    assert stale == set(), "differences that are no more: take them out of the allowances"


def test_what_dashboards_ask_for_is_there(look: Look) -> None:
    lacking = {server: ASKED_FOR - set(seen.ours) for server, seen in look.servers.items() if "sentinel" not in server}
    assert not any(lacking.values()), lacking


def test_a_user_with_info_alone_has_nearly_everything(look: Look) -> None:
    page = read_page(look.daemon.get(f"/compat/{EXPORTER}/{WATCHED}").text)
    assert ASKED_FOR - set(page) == set()
    whole = set(look.servers[WATCHED.removesuffix("-watched")].ours)
    assert whole - set(page) == BEYOND_INFO
    assert set(page["redis_exporter_last_scrape_error"].samples.values()) == {0.0}


def test_the_recording_is_what_the_exporter_shows(look: Look) -> None:
    recorded = recording.load(EXPORTER)
    if not look.version.startswith(recorded.version):
        pytest.skip(f"{EXPORTER} {recorded.version} was recorded, this is {look.version}")
    wrong = recording.differences(recorded, {server: seen.before for server, seen in look.servers.items()})
    assert wrong == [], "python -m tests.compat.record redis_exporter"
