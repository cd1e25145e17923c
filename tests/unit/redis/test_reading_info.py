"""INFO as the servers write it, and odd variants of it, become fields, facts and rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbwatch.bundled import bundled
from dbwatch.catalogue import Check
from dbwatch.catalogue.loader import load_check
from dbwatch.catalogue.schema import FieldSpec
from dbwatch.config import Target
from dbwatch.engines.redis.commands import acl_rule, fields_of, words_of
from dbwatch.engines.redis.facts import facts_of, version_tuple
from dbwatch.engines.redis.fields import row_of
from dbwatch.engines.redis.identity import loading
from dbwatch.engines.redis.memory_use import memory
from dbwatch.engines.redis.persistence import persistence
from dbwatch.engines.redis.replication import replication
from dbwatch.engines.redis.snapshots import running
from dbwatch.errors import CheckError
from dbwatch.model import Engine, Reason, Role

TARGET = Target(name="cache", engine=Engine.REDIS, host="h", port=6379)
INFO = """# Server
redis_version:7.0.15
redis_mode:standalone
uptime_in_seconds:100
server_time_usec:1800000000000000

# Replication
role:master
connected_slaves:2
slave0:ip=10.0.0.2,port=6379,state=online,offset=900,lag=1
slave1:ip=fd00::3,port=6379,state=wait_bgsave,offset=0,lag=0
master_repl_offset:1000

# Errorstats
errorstat_OOM:count=3
"""


def info(**changes: str) -> dict[str, str]:
    return {**fields_of(INFO), **changes}


def check(name: str) -> Check:
    return load_check(bundled("checks") / "redis" / f"{name}.yaml", Engine.REDIS)


def test_fields_of_info() -> None:
    fields = fields_of(INFO)
    assert fields["slave0.lag"] == "1"
    assert fields["slave1.ip"] == "fd00::3"
    assert fields["errorstat_OOM.count"] == "3"
    assert "# Server" not in fields


@pytest.mark.parametrize(
    ("reply", "fields"),
    [
        (7, {"value": "7"}),
        ("PONG", {"value": "PONG"}),
        ("id=3 addr=127.0.0.1:5 name= db=0", {"id": "3", "addr": "127.0.0.1:5", "name": "", "db": "0"}),
        ("cluster_state:ok\r\ncluster_size:3\r\n", {"cluster_state": "ok", "cluster_size": "3"}),
        (["peak.allocated", 12, "db.0", ["x", 1]], {"peak.allocated": "12"}),
        ("", {}),
    ],
)
def test_fields_of_other_replies(reply: object, fields: dict[str, str]) -> None:
    assert fields_of(reply) == fields


def test_a_reply_without_names_is_a_bad_result() -> None:
    with pytest.raises(CheckError) as caught:
        fields_of([1, 2, 3])
    assert caught.value.reason is Reason.BAD_RESULT


def test_the_commands() -> None:
    assert words_of("SLOWLOG GET 10") == ("SLOWLOG", "GET", "10")
    assert words_of("CONFIG GET", "save", "bind") == ("CONFIG", "GET", "save", "bind")
    assert words_of("MEMORY USAGE", "a key") == ("MEMORY", "USAGE", "a key")
    for settings in (("requirepass",), ("save", "*"), ("*",)):
        with pytest.raises(CheckError):
            words_of("CONFIG GET", *settings)
    assert acl_rule("SLOWLOG GET 10") == "+slowlog|get"
    assert acl_rule("INFO") == "+info"
    for refused in ("INFO all", "slowlog len", "SLOWLOG RESET", "SLOWLOG", "CONFIG GET", "PING x"):
        with pytest.raises(CheckError):
            words_of(refused)


@pytest.mark.parametrize(
    ("text", "version"),
    [("7.0.15", (7, 0, 15)), ("8.0-rc1", (8, 0)), ("255.255.255", (255, 255, 255)), ("unstable", (0,))],
)
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert version_tuple(text) == version


def test_valkey_is_known_by_its_own_version() -> None:
    """Valkey 9.1 says `redis_version:7.2.4` too, and has no redis_mode."""
    fields = info(redis_version="7.2.4", valkey_version="9.1.2", server_mode="cluster")
    del fields["redis_mode"]
    facts = facts_of(fields, TARGET)
    assert (facts.version, facts.flavour, facts.settings["mode"]) == ((9, 1, 2), "valkey", "cluster")


def test_facts_without_info_and_of_a_replica() -> None:
    nothing = facts_of({}, TARGET)
    assert (nothing.version, nothing.version_text, nothing.started_at_seconds) == ((0,), "unknown", None)
    assert facts_of(info(role="slave"), TARGET).role is Role.STANDBY
    assert facts_of(info(), TARGET).started_at_seconds == 1_800_000_000 - 100
    assert "slowlog|len" not in facts_of(info(), TARGET, frozenset({"slowlog|len"})).privileges


def test_a_missing_field_is_null_and_never_zero() -> None:
    assert row_of(check("redis_hit_ratio"), {}) == {"hits": None, "misses": None, "expired": None, "noeviction": None}
    assert memory({})[0]["oom_errors"] is None
    assert memory({"total_error_replies": "0"})[0]["oom_errors"] == 0.0
    assert memory({"total_error_replies": "9", "errorstat_ERRORSTATS_DISABLED": "count=1"})[0]["oom_errors"] is None
    assert set(persistence({})[0].values()) == {None}


def test_fields_are_scaled_compared_and_defaulted() -> None:
    base = check("redis_hit_ratio")
    fields = {
        "hits": FieldSpec(field="ms", scale=0.001),
        "misses": FieldSpec(field="absent", default=0),
        "expired": FieldSpec(field="inf"),
        "noeviction": FieldSpec(field="status", equals="ok"),
    }
    row = row_of(replace(base, fields=fields), {"ms": "1500", "status": "err", "inf": "inf"})
    assert row == {"hits": 1.5, "misses": 0.0, "expired": None, "noeviction": 0.0}
    with pytest.raises(CheckError, match="keyspace_hits is 'many'"):
        row_of(base, {"keyspace_hits": "many"})


def test_memory_leaves_out_what_eviction_does_not_count() -> None:
    row = memory(
        {
            "used_memory": "1000",
            "mem_not_counted_for_evict": "300",
            "maxmemory": "0",
            "maxmemory_policy": "allkeys-lfu",
            "db0.keys": "2",
            "db5.keys": "3",
        }
    )[0]
    assert (row["counted_bytes"], row["max_bytes"], row["evicts_any_key"], row["keys"]) == (700.0, None, 1.0, 5)


@pytest.mark.parametrize(
    ("policy", "share"), [("noeviction", 0.0), ("volatile-ttl", 0.25), ("allkeys-lru", 1.0), (None, None)]
)
def test_what_may_be_dropped_depends_on_the_policy_and_counts_every_database(
    policy: str | None, share: float | None
) -> None:
    told = {f"db{i}.{name}": count for i in range(100) for name, count in (("keys", "8"), ("expires", "2"))}
    row = memory(told if policy is None else {**told, "maxmemory_policy": policy})[0]
    assert (row["droppable_ratio"], row["keys"]) == (share, 800.0)


AOF = {"aof_enabled": "1", "rdb_last_bgsave_status": "ok", "aof_last_bgrewrite_status": "ok"}


def test_a_failed_append_and_a_failed_rewrite_are_told_apart() -> None:
    write = persistence({**AOF, "aof_last_write_status": "err"})[0]
    assert (write["aof_write_ok"], write["aof_rewrite_ok"]) == (0.0, 1.0)
    assert "writes are refused" in str(write["problem"])
    rewrite = persistence({**AOF, "aof_last_write_status": "ok", "aof_last_bgrewrite_status": "err"})[0]
    assert (rewrite["aof_write_ok"], rewrite["aof_rewrite_ok"]) == (1.0, 0.0)
    off = persistence({**AOF, "aof_enabled": "0", "aof_last_write_status": "err"})[0]
    assert off["aof_write_ok"] is None


SAVING = {
    "aof_enabled": "0",
    "rdb_last_save_time": "1000",
    "server_time_usec": "100000000000",
    "rdb_last_bgsave_time_sec": "1",
    "rdb_saves": "5",
    "sync_full": "0",
    "rdb_changes_since_last_save": "8",
}


def test_the_age_of_unsaved_changes_needs_a_habit_of_saving() -> None:
    assert persistence(SAVING)[0]["unsaved_seconds"] == 99_000.0
    for change in ({"sync_full": "4"}, {"rdb_changes_since_last_save": "0"}, {"aof_enabled": "1"}):
        assert persistence({**SAVING, **change})[0]["unsaved_seconds"] is None, change
    old = {name: value for name, value in SAVING.items() if name != "rdb_saves"}
    assert persistence(old)[0]["unsaved_seconds"] is None, "6.2 does not count its saves"


def test_the_age_of_unsaved_changes_goes_by_the_save_points_where_they_are_known() -> None:
    points = ((3600.0, 1.0), (300.0, 100.0), (60.0, 10_000.0))
    row = persistence(SAVING, points)[0]
    assert (row["unsaved_seconds"], row["save_interval_seconds"]) == (99_000.0, 3600.0)
    assert persistence(SAVING, points[1:])[0]["unsaved_seconds"] is None, "eight changes are not enough for these"
    assert persistence(SAVING, ())[0]["unsaved_seconds"] is None, "snapshots are off"
    assert persistence(SAVING)[0]["save_interval_seconds"] == 43_200.0


def test_a_snapshot_that_is_being_written_is_not_late() -> None:
    row = persistence({**SAVING, "rdb_current_bgsave_time_sec": "98000"}, ((3600.0, 1.0),))[0]
    assert row["unsaved_seconds"] == 1000.0


NEVER_SAVED = {
    **SAVING,
    "rdb_last_bgsave_status": "ok",
    "rdb_last_bgsave_time_sec": "-1",
    "rdb_saves": "0",
    "uptime_in_seconds": "99000",
}


def test_a_server_that_never_saved_is_not_taken_for_one_that_saved_at_its_start() -> None:
    for change in ({}, {"sync_full": "1", "rdb_last_bgsave_time_sec": "0"}):
        row = persistence({**NEVER_SAVED, **change}, ((3600.0, 1.0),))[0]
        assert (row["snapshot_ok"], row["snapshot_age_seconds"]) == (None, None)
        assert row["unsaved_seconds"] == 99_000.0
        assert "no snapshot was written since the start" in str(row["problem"])
    old = {name: value for name, value in NEVER_SAVED.items() if name != "rdb_saves"} | {
        "rdb_last_bgsave_time_sec": "0"
    }
    assert persistence(old)[0]["snapshot_ok"] == 1.0, "6.2 does not count its saves; nobody else asked for this one"
    assert persistence({**old, "sync_full": "1"})[0]["snapshot_ok"] is None
    failed = persistence({**NEVER_SAVED, "rdb_last_bgsave_status": "err"})[0]
    assert failed["snapshot_ok"] == 0.0
    reset = persistence({**NEVER_SAVED, "uptime_in_seconds": "200000"})[0]
    assert (reset["snapshot_ok"], reset["snapshot_age_seconds"]) == (1.0, 99_000.0), "CONFIG RESETSTAT forgot rdb_saves"


def test_what_runs_now() -> None:
    idle = {"rdb_current_bgsave_time_sec": "-1", "aof_current_rewrite_time_sec": "-1"}
    assert running(idle)[0]["is_running"] == 0.0
    assert running({})[0]["is_running"] is None
    row = running({**idle, "aof_current_rewrite_time_sec": "7", "aof_last_rewrite_time_sec": "-1"})[0]
    assert (row["running_seconds"], row["last_seconds"], row["kind"]) == (7.0, None, "rewrite of the append-only file")


def test_loading() -> None:
    fields = {
        "loading": "1",
        "role": "slave",
        "loading_start_time": "1000",
        "server_time_usec": "1060000000",
        "loading_eta_seconds": "9",
        "loading_loaded_perc": "50.00",
    }
    row = loading(fields)[0]
    assert (row["loading_seconds"], row["left_seconds"], row["loaded_ratio"]) == (60.0, 9.0, 0.5)
    assert (row["is_loading"], row["is_loading_copy"]) == (0.0, 1.0)
    assert set(loading({})[0].values()) == {None}


def test_replicas_in_their_first_copy_are_not_behind() -> None:
    row = replication(info())[0]
    assert (row["replicas"], row["replicas_online"]) == (2.0, 1.0)
    assert (row["silence_seconds"], row["behind_bytes"]) == (1.0, 100.0)
    assert row["worst_replica"] == "10.0.0.2:6379"


def test_the_most_silent_replica_is_worse_than_the_one_most_behind() -> None:
    two = {
        "slave1": "",
        "slave1.ip": "b",
        "slave1.port": "1",
        "slave1.state": "online",
        "slave1.lag": "9",
        "slave1.offset": "999",
    }
    row = replication(info(**two))[0]
    assert (row["worst_replica"], row["silence_seconds"], row["behind_bytes"]) == ("b:1", 9.0, 100.0)


def test_a_dead_link() -> None:
    down = info(role="slave", master_link_status="down", master_host="p", master_port="6379")
    lost = replication({**down, "master_link_down_since_seconds": "17", "master_last_io_seconds_ago": "-1"})[0]
    assert (lost["link_up"], lost["link_down_seconds"]) == (0.0, 17.0)
    never = replication({**down, "master_link_down_since_seconds": "-1"})[0]
    assert never["link_down_seconds"] == 100.0
    assert "has not reached its primary p:6379" in str(never["problem"])
    copying = replication({**down, "master_link_down_since_seconds": "17", "master_sync_in_progress": "1"})[0]
    assert copying["syncing"] == 1.0
    assert "copying" in str(copying["problem"])
